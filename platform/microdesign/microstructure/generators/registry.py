"""The register of families, and the seeded drawing of samples from one of them."""

import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import MAX_PHASES, Microstructures

Image = NDArray[np.uint8]
Drawn = tuple[Image, dict[str, Any]]
"""Labels of the sample's shape, and the parameters that were sampled for it."""

MIN_SIZE = 16
MAX_REDRAWS = 100


@dataclass(frozen=True)
class Sample:
    """What a generator is asked for.

    Attributes:
        stream: The random stream of this sample, the only source of chance for most families.
        shape: Pixels along each axis, two or three equal numbers.
        n_phases: Number of phases; all of them have to appear.
        seed: Seed of the data set.
        index: Number of the sample; with `seed`, for families that spread their parameters evenly over samples.
    """

    stream: np.random.Generator
    shape: tuple[int, ...]
    n_phases: int = 2
    seed: int = 0
    index: int = 0

    @property
    def size(self) -> int:
        """Edge length in pixels."""
        return self.shape[0]

    @property
    def dims(self) -> int:
        """Number of axes, 2 or 3."""
        return len(self.shape)

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return int(self.size**self.dims)


Generator = Callable[[Sample], Drawn]
"""Draws one periodic image."""


@dataclass(frozen=True)
class Family:
    """A generator and what it can do."""

    draw: Generator
    dims: tuple[int, ...] = (2,)
    """Numbers of axes that it can draw."""
    max_phases: int = 2
    """Largest number of phases that it can draw."""

    def refusal(self, dims: int = 2, n_phases: int = 2) -> str | None:
        """Says in half a sentence what of this it cannot draw, None when it can."""
        if dims not in self.dims:
            return f"draws dims {' or '.join(map(str, self.dims))}, not {dims}"
        if not 2 <= n_phases <= self.max_phases:
            most = "2 phases" if self.max_phases == 2 else f"2 to {self.max_phases} phases"
            return f"draws {most}, not {n_phases}"
        return None


FAMILIES: dict[str, Family] = {}
"""The families by name; `register` adds to it."""


def register(name: str, dims: tuple[int, ...] = (2,), max_phases: int = 2) -> Callable[[Generator], Generator]:
    """Returns a decorator that adds a generator to `FAMILIES` under `name`; the name also seeds its random streams."""

    def add(generator: Generator) -> Generator:
        FAMILIES[name] = Family(generator, dims, max_phases)
        return generator

    return add


def generate(
    family: str, start: int, count: int, size: int, seed: int, *, dims: int = 2, n_phases: int = 2
) -> Microstructures:
    """Generates the samples start, ..., start + count - 1 of a family.

    Args:
        family: A name in `FAMILIES`.
        start: Index of the first sample.
        count: Number of samples n.
        size: Edge length in pixels.
        seed: Seed of the data set.
        dims: Number of axes, 2 or 3.
        n_phases: Number of phases; more than two for `Polycrystal` alone.

    Returns:
        Labels `(n, size, size)` or `(n, size, size, size)`, the family as class and the sampled parameters (lengths in
        pixels, angles in radians from x towards y) as JSON in `generation`. Each image holds all phases.

    Raises:
        InputError: The family is unknown or cannot draw this many axes or phases, or a number is out of range.
    """
    if family not in FAMILIES:
        raise InputError(f"family '{family}' is unknown; expected one of: {', '.join(sorted(FAMILIES))}.")
    for name, value, least in (("start", start, 0), ("count", count, 1), ("size", size, MIN_SIZE), ("seed", seed, 0)):
        if value < least:
            raise InputError(f"{name} = {value} is too small; expected at least {least}.")
    refusal = FAMILIES[family].refusal(dims, n_phases)
    if refusal is not None:
        raise InputError(f"family '{family}' {refusal}.")
    shape = (size,) * dims
    labels = np.empty((count, *shape), dtype=np.uint8)
    texts = []
    for row in range(count):
        labels[row], parameters = _sample(family, start + row, shape, seed, n_phases)
        texts.append(json.dumps(parameters, separators=(",", ":")))
    return Microstructures(labels=labels, n_phases=n_phases, classes=(family,) * count, generation=tuple(texts))


def _sample(family: str, index: int, shape: tuple[int, ...], seed: int, n_phases: int) -> Drawn:
    # The checksum of the name, not its position in the registry: registering a family must not change the others.
    stream = np.random.default_rng(np.random.SeedSequence([seed, zlib.crc32(family.encode()), index]))
    sample = Sample(stream, shape, n_phases, seed, index)
    for _ in range(MAX_REDRAWS):
        image, parameters = FAMILIES[family].draw(sample)
        if _has_all_phases(image, n_phases):
            return image, {name: _rounded(value) for name, value in parameters.items()}
    lacking = "one-phase images" if n_phases == 2 else f"images without all {n_phases} phases"
    raise InputError(f"family '{family}' gave {MAX_REDRAWS} {lacking} in a row at size {shape[0]}; use a larger one.")


def _has_all_phases(image: Image, n_phases: int) -> bool:
    if n_phases == 2:
        return bool(0 < np.count_nonzero(image) < image.size)
    return bool(np.bincount(image.ravel(), minlength=MAX_PHASES)[:n_phases].all())


def _rounded(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return round(value, 4) if isinstance(value, float) else value
