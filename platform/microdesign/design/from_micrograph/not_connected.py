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
        others = [other for other in own if other not in names and _says_something(other, own[other])]
        ask = f"; or ask for what it has: {', '.join(others)}" if others else ""
        why = _reason(name, micrograph, materials)
        raise InputError(f"{micrograph.path}: {name} is {found} for it, and for what is like it: {why}{ask}.")


def check_draws(labelled: Dataset, names: Sequence[str]) -> None:
    """Refuses to train on draws of which hardly any has the properties.

    Raises:
        MicrodesignError: It is so.
    """
    table = property_table(labelled.property_columns(), names, len(labelled))
    says = is_known(table, names)
    if (n := int(says.all(1).sum())) >= LEAST_KNOWN:
        return
    counts = ", ".join(f"{name} of {count}" for name, count in zip(names, says.sum(0), strict=True))
    raise MicrodesignError(
        f"Only {n} of {len(labelled)} draws have all properties of the target ({counts}); expected {LEAST_KNOWN}: in "
        "the others a phase does not hang together, so that they are 0 or not defined. Ask for other properties, or "
        "for more draws (--set draws=N)."
    )


def _says_something(name: str, value: float) -> bool:
    return bool(np.isfinite(value)) and (value > 0 or is_signed(name))


def _reason(name: str, micrograph: Micrograph, materials: Materials) -> str:
    entry = known(micrograph.dims).get(name)
    kind: Literal["E", "k"] = "k" if entry is not None and entry.tensors == ("conductivity",) else "E"
    solid = [phase for phase, void in enumerate(materials.voids(kind)) if not void]
    if len(solid) != 1:
        return "its phases leave it undefined"
    does, fill = ("carries load", "") if kind == "E" else ("conducts", ", a conducting fluid in the pores (air, water)")
    share = float((micrograph.labels == solid[0]).mean())
    others = " or ".join(str(phase) for phase in range(len(materials.phases)) if phase != solid[0])
    order = "the other" if len(materials.phases) == 2 else "another"
    return (
        f"phase {solid[0]}, which alone {does}, takes {100 * share:.0f} % of it and does not hang together from side "
        f"to side. Give the phases in {order} order where phase {others} is the solid{fill}"
    )
