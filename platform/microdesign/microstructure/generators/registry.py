"""The families by name, and the seeded generation of samples of one of them."""

import json
import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from microdesign.core.errors import InputError
from microdesign.core.references import load_named
from microdesign.microstructure.data.container import MAX_PHASES, Microstructures
from microdesign.microstructure.data.sizes import named, simplest
from microdesign.microstructure.generators.sample import Drawn, Generator, Image, Sample

MIN_SIZE = 16
MAX_REDRAWS = 100


@dataclass(frozen=True)
class Family:
    """A generator and what it can draw.

    Attributes:
        reference: The generator, a function named `module:name`; imported when the first sample is drawn.
        dims: Numbers of axes that it can draw.
        max_phases: Largest number of phases that it can draw.
    """

    reference: str
    dims: tuple[int, ...] = (2,)
    max_phases: int = 2

    @cached_property
    def draw(self) -> Generator:
        """The generator.

        Raises:
            InputError: It cannot be imported.
        """
        generator: Generator = load_named(
            self.reference, f"family '{self.reference}'", "module:name of a function that draws a Sample"
        )
        return generator

    def refusal(self, dims: int = 2, n_phases: int = 2) -> str | None:
        """Says in half a sentence what of this it cannot draw, None when it can."""
        if dims not in self.dims:
            return f"draws dims {' or '.join(map(str, self.dims))}, not {dims}"
        if not 2 <= n_phases <= self.max_phases:
            most = "2 phases" if self.max_phases == 2 else f"2 to {self.max_phases} phases"
            return f"draws {most}, not {n_phases}"
        return None


_HERE = "microdesign.microstructure.generators"
FAMILIES: dict[str, Family] = {
    "AngEllipse": Family(f"{_HERE}.particles:aligned_ellipses"),
    "GRF": Family(f"{_HERE}.fields:gaussian_random_field", dims=(2, 3)),
    "NBSA": Family(f"{_HERE}.bricks:bricks"),
    "RandomEllipse": Family(f"{_HERE}.particles:random_ellipses"),
    "VoidSmall": Family(f"{_HERE}.particles:small_discs", dims=(2, 3)),
    "VoidSmallBig": Family(f"{_HERE}.particles:small_and_big_discs", dims=(2, 3)),
    "VoronoiLarge": Family(f"{_HERE}.particles:large_cells", dims=(2, 3)),
    "VoronoiMedium": Family(f"{_HERE}.particles:medium_cells", dims=(2, 3)),
    "VoronoiMediumSpaced": Family(f"{_HERE}.particles:spaced_cells", dims=(2, 3)),
    "VoronoiSmall": Family(f"{_HERE}.particles:small_cells", dims=(2, 3)),
    "Circles": Family(f"{_HERE}.patterns:circles"),
    "FilteredNoise": Family(f"{_HERE}.fields:filtered_noise", dims=(2, 3)),
    "Lines": Family(f"{_HERE}.patterns:lines"),
    "Polycrystal": Family(f"{_HERE}.polycrystal:polycrystal", dims=(2, 3), max_phases=MAX_PHASES),
    "Spinodal": Family(f"{_HERE}.fields:spinodal", dims=(2, 3)),
}
"""The built-in families by name; the name also seeds their random streams."""


def find_family(name: str) -> tuple[str, Family]:
    """Returns a family by its name in `FAMILIES`, or by `module:name` of a generator of your own.

    A generator is a function that takes a `Sample` and returns labels of the sample's shape, uint8 and periodic, and
    the parameters that it drew from `sample.stream`, its only source of chance. It is asked for any number of axes and
    phases; what it cannot draw it refuses by an `InputError`.

    Returns:
        The name of the class, for one of your own the part behind the colon; and the family.

    Raises:
        InputError: There is no such family, or it cannot be imported.
    """
    if name in FAMILIES:
        return name, FAMILIES[name]
    if ":" not in name:
        known = ", ".join(sorted(FAMILIES))
        raise InputError(f"family '{name}' is unknown; expected one of: {known}, or module:name of your own.")
    family = Family(name, dims=(2, 3), max_phases=MAX_PHASES)
    if not callable(family.draw):
        raise InputError(f"family '{name}' is no function; expected one that takes a Sample and returns its labels.")
    return name.rpartition(":")[2], family


def generate(
    family: str,
    n: int,
    shape: tuple[int, ...] = (64, 64),
    seed: int = 0,
    *,
    n_phases: int = 2,
    start: int = 0,
) -> Microstructures:
    """Generates n periodic images or volumes of a family.

    Sample i of a seed is the same whatever n and `start` are: its random stream depends on (seed, family, i) alone.

    Example:
        >>> generate("GRF", 3, (32, 32)).shape
        (32, 32)
        >>> generate("Polycrystal", 2, (16, 16, 16), seed=1, n_phases=4).n_phases
        4

    Args:
        family: A name in `FAMILIES`, or `module:name` of a generator of your own, see `find_family`.
        n: Number of samples.
        shape: Pixels along each axis, two or three numbers of at least 16. Lengths are in proportion to the shortest.
        seed: Seed of the images.
        n_phases: Number of phases; of the built-in families, more than two for `Polycrystal` alone.
        start: Index of the first sample; continue a set of m samples by `start=m`.

    Returns:
        The family as class and the sampled parameters (lengths in pixels, angles in radians from x towards y) as JSON
        in `generation`. Each image holds all phases.

    Raises:
        InputError: The family is unknown or cannot draw this shape or number of phases, or a number is out of range.
    """
    name, chosen = find_family(family)
    shape = tuple(shape)
    if not shape:
        raise InputError("shape = () has no sides; expected two or three numbers of pixels.")
    limits = (("start", start, 0), ("n", n, 1), ("a side of the shape", min(shape), MIN_SIZE), ("seed", seed, 0))
    for what, value, least in limits:
        if value < least:
            raise InputError(f"{what} = {value} is too small; expected at least {least}.")
    refusal = chosen.refusal(len(shape), n_phases)
    if refusal is not None:
        raise InputError(f"family '{family}' {refusal}.")
    labels = np.empty((n, *shape), dtype=np.uint8)
    texts = []
    for row in range(n):
        labels[row], parameters = _sample(name, chosen, start + row, shape, seed, n_phases)
        texts.append(json.dumps(parameters, separators=(",", ":")))
    return Microstructures(labels=labels, n_phases=n_phases, classes=(name,) * n, generation=tuple(texts))


def _sample(name: str, family: Family, index: int, shape: tuple[int, ...], seed: int, n_phases: int) -> Drawn:
    # The checksum of the name, not its position in the registry: another family must not change the others.
    stream = np.random.default_rng(np.random.SeedSequence([seed, zlib.crc32(name.encode()), index]))
    sample = Sample(stream, shape, n_phases, seed, index)
    for _ in range(MAX_REDRAWS):
        image, parameters = family.draw(sample)
        if image.shape != shape or image.dtype.kind not in "bui" or image.min() < 0 or image.max() >= n_phases:
            raise InputError(
                f"family '{name}' drew {image.dtype} of shape {image.shape}, {image.min()} to {image.max()}; expected "
                f"labels 0 to {n_phases - 1} of shape {shape}."
            )
        if _has_all_phases(image, n_phases):
            return image, {key: _rounded(value) for key, value in parameters.items()}
    lacking = "one-phase images" if n_phases == 2 else f"images without all {n_phases} phases"
    raise InputError(
        f"family '{name}' gave {MAX_REDRAWS} {lacking} in a row at size {named(simplest(shape))}; use a larger one."
    )


def _has_all_phases(image: Image, n_phases: int) -> bool:
    if n_phases == 2:
        return bool(0 < np.count_nonzero(image) < image.size)
    return bool(np.bincount(image.ravel(), minlength=MAX_PHASES)[:n_phases].all())


def _rounded(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return round(value, 4) if isinstance(value, float) else value
