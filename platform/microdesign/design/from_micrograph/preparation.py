"""What is checked and measured before anything is written: the micrograph, its own properties, the target."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from microdesign.core.config import validate_config
from microdesign.core.errors import InputError
from microdesign.core.files import digest, digest_json
from microdesign.core.properties import standard_parts
from microdesign.core.stages import check_own_folder
from microdesign.design.from_micrograph.config import MicrographConfig
from microdesign.design.from_micrograph.micrograph import Micrograph, read_micrograph
from microdesign.design.from_micrograph.not_connected import check_not_zero
from microdesign.design.target.feasibility import check_feasible
from microdesign.design.target.relative import is_wholly_relative, resolve
from microdesign.design.target.target import Target
from microdesign.microstructure.data.container import check_squares
from microdesign.microstructure.io.options import OnSegmented
from microdesign.physics.effective_properties import homogenize
from microdesign.physics.properties import property_values

SETTINGS = "from-micrograph.yaml"
"""File of the settings, which marks the folder of a run."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A run that can begin.

    Attributes:
        micrograph: The image.
        own: Its own properties by name, apparent ones by mirror boundaries.
        target: The goals in numbers.
        relative: Names of the goals that are multiples of the micrograph's own values, all numbers of them.
        properties: What the model is conditioned on.
        digest: Of the image.
    """

    micrograph: Micrograph
    own: dict[str, float]
    target: Target
    relative: tuple[str, ...]
    properties: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Identifies the image and the size of its windows."""
        labels = np.ascontiguousarray(self.micrograph.labels)
        return digest_json([digest(labels.tobytes()), list(labels.shape), self.micrograph.size])[:10]


def prepare(config: MicrographConfig, on_segmented: OnSegmented | None = None) -> Prepared:
    """Reads the micrograph, measures it and states the target in numbers.

    Args:
        config: What to do.
        on_segmented: As of `ReadOptions`, for a picture of a grey micrograph's phases.

    Raises:
        InputError: The micrograph is none that can be drawn, has other phases than the materials, the target is unknown
            or cannot be had, or the folder holds other things.
    """
    check_own_folder(Path(config.folder).resolve(), SETTINGS, "a run from a micrograph")
    micrograph = read_micrograph(config.micrograph, config.size, config.read_options(on_segmented), config.reader)
    check_squares(micrograph.image, micrograph.path)
    if (n := len(config.materials.phases)) != micrograph.image.n_phases:
        raise InputError(
            f"materials: {n} phases; expected {micrograph.image.n_phases}, those of the labels of {micrograph.path}."
        )
    if config.campaign.robust and n != 2:
        raise InputError(f"robust: is of micrographs of two phases; this one has {n}.")
    names = standard_parts(config.target.get("properties", {}), micrograph.dims)
    own = own_properties(micrograph, config)
    check_not_zero(list(config.target.get("properties", {})), own, micrograph, config.materials)
    goals = resolve(config.target.get("properties", {}), own)
    target = validate_config(Target, {**config.target, "properties": goals}, "the target").of_images(micrograph.dims, n)
    check_feasible(target, config.materials)
    target.constraints.check_images(micrograph.window, phases=n)
    relative = tuple(name for name, goal in config.target.get("properties", {}).items() if is_wholly_relative(goal))
    return Prepared(micrograph, own, target, relative, names)


def own_properties(micrograph: Micrograph, config: MicrographConfig) -> dict[str, float]:
    """The micrograph's apparent properties by mirror boundaries, and those that the target names, by name.

    A periodic solve would see the seams of the image repeated.

    Raises:
        InputError: The target names a property that there is not.
    """
    found = homogenize(micrograph.labels, config.materials, dims=micrograph.dims, boundary="mirror")
    own = {name: float(values[0]) for name, values in found.properties.items()}
    for name in config.target.get("properties", {}):
        own[name] = float(property_values(found.properties, name, micrograph.dims)[0])
    return own
