"""What cannot be asked where a phase of the micrograph does not hang together: properties are 0, of designs too."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from microdesign.core.errors import InputError, MicrodesignError
from microdesign.core.properties import is_signed, known, quotient
from microdesign.design.from_micrograph.micrograph import Micrograph
from microdesign.microstructure.data.container import is_known, property_table
from microdesign.microstructure.data.dataset import Dataset
from microdesign.physics.materials import Materials

LEAST_KNOWN = 20
"""Draws with a property from which a regressor may learn it."""


def check_not_zero(
    names: Sequence[str], own: Mapping[str, float], micrograph: Micrograph, materials: Materials
) -> None:
    """Refuses properties that the micrograph has not, since what is like it has them neither.

    Args:
        names: Of the target, quotients among them.
        own: The micrograph's properties by name.
        micrograph: The image.
        materials: Its phases.

    Raises:
        InputError: One is 0, or not defined for the image.
    """
    for name in (part for asked in names for part in quotient(asked) or (asked,)):
        value = own.get(name, np.nan)
        if _says_something(name, value):
            continue
        found = "0" if value == 0 else "not defined"
        others = " or ".join(str(phase) for phase in range(len(materials.phases)) if phase != solid[0])
    order = "the other" if len(materials.phases) == 2 else "another"
    return (
        f"phase {solid[0]}, which alone {does}, takes {100 * share:.0f} % of it and does not hang together from side "
        f"to side. Give the phases in {order} order where phase {others} is the solid{fill}"
    )
