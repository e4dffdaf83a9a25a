"""Constraints on the microstructure: what is measured on the decoded image itself, and the range it must keep.

Shapes: n images, X Y image.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator

from microdesign.core.config import Config
from microdesign.core.errors import InputError
from microdesign.microstructure.io.npy import read_npy
from microdesign.microstructure.statistics.connectivity import clusters, percolates
from microdesign.microstructure.statistics.morphology import minimum_feature_size
from microdesign.microstructure.statistics.similarity import distances, two_point_of

Phase = Annotated[int, Field(ge=0, le=1)]
Axis = Literal["x", "y"]
Symmetry = Literal["mirror", "diagonal", "turn"]


@dataclass(frozen=True)
class Check:
    """One constraint: what is measured of images uint8 `(n, X, Y)`, `(n,)`, and its least and largest value."""

    name: str
    measure: Callable[[np.ndarray], np.ndarray]
    low: float
    high: float

    def holds(self, labels: np.ndarray) -> np.ndarray:
        """Whether the images keep it, bool `(n,)`; what cannot be measured (an absent phase) does not."""
        values = self.measure(labels)
        return (values >= self.low) & (values <= self.high)


class FeatureSize(Config):
    """Least width of a phase."""

    at_least: float = Field(gt=0, description="pixels")
    ignore: float = Field(0.05, ge=0, lt=1, description="share of the phase that may be thinner: specks, cusps")


class Similarity(Config):
    """Nearness to a reference image."""

    image: str = Field(description="image of the model's size, .npy")
    within: float = Field(
        gt=0, description="largest root mean square difference of two-point statistics, relative to phi (1 - phi)"
    )


class Constraints(Config):
    """What a microstructure must keep, whatever its properties; phases are labels, 0 or 1."""

    volume_fraction: tuple[float, float] = Field((0.0, 1.0), description="least and most of phase 1")
    feature_size: Mapping[Phase, FeatureSize] = Field(default_factory=dict, description="width of phases")
    percolates: Mapping[Phase, Mapping[Axis, bool]] = Field(
        default_factory=dict, description="whether a phase is endless along an axis of the tiled image, or must not be"
    )
    connected: Mapping[Phase, float] = Field(
        default_factory=dict, description="least share of a phase that its largest cluster holds"
    )
    symmetry: Mapping[Symmetry, float] = Field(
        default_factory=dict,
        description="largest difference of the two-point statistics from those of the image mirrored in x, mirrored in "
        "the diagonal, or turned by 90 degrees; 0 if it is the same up to a shift",
    )
    similar_to: Similarity | None = None

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        low, high = self.volume_fraction
        if not 0 <= low < high <= 1:
            raise ValueError("volume_fraction: expected [low, high] with 0 <= low < high <= 1")
        for name in ("connected", "symmetry"):
            for key, value in getattr(self, name).items():
                if not 0 <= value <= 1:
                    raise ValueError(f"{name}.{key} = {value:g}: expected a share from 0 to 1")
        for phase, axes in self.percolates.items():
            other = self.percolates.get(_other(phase), {})
            for axis, wanted in axes.items():
                across: Axis = "y" if axis == "x" else "x"
                if wanted and axes.get(across) is False and other.get(across):
                    raise ValueError(
                        f"phase {phase}, endless along {axis} and not along {across}, cuts phase {_other(phase)} off "
                        f"along {across}: percolates.{_other(phase)}.{across} cannot be true as well"
                    )
        return self

    def check_size(self, size: int) -> None:
        """Refuses constraints that no image of `size` x `size` pixels keeps.

        Raises:
            InputError: The phases shall be wider than the image, a phase that percolates has no room for its width, or
                the reference has another size.
        """
        widths = {phase: feature.at_least for phase, feature in self.feature_size.items()}
        if sum(widths.values()) > size:
            asked = " and ".join(f"phase {phase} {width:g}" for phase, width in widths.items())
            raise InputError(f"feature_size: {asked} pixels wide do not fit into an image of {size} pixels.")
        for phase, axes in self.percolates.items():
            most = self.volume_fraction[1] if phase == 1 else 1 - self.volume_fraction[0]
            ignored = self.feature_size[phase].ignore if phase in self.feature_size else 0.0
            least = max(1.0, widths.get(phase, 1.0) * (1 - ignored)) / size
            if any(axes.values()) and most < least:
                raise InputError(
                    f"phase {phase} cannot be endless with at most {most:g} of the image: a straight path "
                    f"{widths.get(phase, 1.0):g} pixels wide takes {least:.3g} of {size} x {size} pixels."
                )
        if self.similar_to is not None:
            shape = _reference(self.similar_to.image).shape
            if tuple(shape) != (size, size):
                raise InputError(
                    f"{self.similar_to.image}: is of shape {tuple(shape)}; expected {(size, size)}, the model's size."
                )

    @property
    def checks(self) -> tuple[Check, ...]:
        """All constraints, the quickest to measure first."""
        checks = [Check("volume_fraction", _fraction, *self.volume_fraction)]
        for operation, limit in self.symmetry.items():
            checks.append(Check(f"symmetry_{operation}", _asymmetry(operation), 0.0, limit))
        if self.similar_to is not None:
            checks.append(
                Check("distance_to_reference", _distance_to(self.similar_to.image), 0.0, self.similar_to.within)
            )
        for phase, share in self.connected.items():
            checks.append(Check(f"connected_{phase}", _largest_share(phase), share, 1.0))
        for phase, axes in self.percolates.items():
            for axis, wanted in axes.items():
                checks.append(Check(f"percolates_{phase}_{axis}", _endless(phase, axis), float(wanted), float(wanted)))
        for phase, feature in self.feature_size.items():
            checks.append(Check(f"feature_size_{phase}", _width(phase, feature.ignore), feature.at_least, np.inf))
        return tuple(checks)

    def admits(self, labels: np.ndarray) -> np.ndarray:
        """Whether two-phase images uint8 `(n, X, Y)` keep all constraints, bool `(n,)`."""
        admitted = np.arange(len(labels))
        for check in self.checks:
            admitted = admitted[check.holds(labels[admitted])] if len(admitted) else admitted
        return np.isin(np.arange(len(labels)), admitted)

    def counts(self, labels: np.ndarray) -> dict[str, int]:
        """How many of the images uint8 `(n, X, Y)` keep each constraint."""
        return {check.name: int(check.holds(labels).sum()) for check in self.checks}

    def values(self, labels: np.ndarray) -> dict[str, np.ndarray]:
        """What the constraints are about, measured: `(n,)` each; percolation as 0 or 1."""
        return {check.name: check.measure(labels) for check in self.checks}


def _other(phase: Phase) -> Phase:
    return 0 if phase else 1


def _fraction(labels: np.ndarray) -> np.ndarray:
    return labels.mean((1, 2))


def _width(phase: Phase, ignore: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda labels: minimum_feature_size(torch.from_numpy(labels == phase), ignore=ignore).numpy()


def _endless(phase: Phase, axis: Axis) -> Callable[[np.ndarray], np.ndarray]:
    return lambda labels: percolates(torch.from_numpy(labels == phase))[:, "xy".index(axis)].numpy().astype(float)


def _largest_share(phase: Phase) -> Callable[[np.ndarray], np.ndarray]:
    def measure(labels: np.ndarray) -> np.ndarray:
        sizes = [clusters(image == phase).sizes for image in labels]
        return np.array([each[0] / each.sum() if len(each) else np.nan for each in sizes])

    return measure


def _asymmetry(operation: Symmetry) -> Callable[[np.ndarray], np.ndarray]:
    # Two-point statistics know no difference between a shape and its point inversion: mirrors in x and y are the same.
    turned = {
        "mirror": lambda image: image[::-1],
        "diagonal": lambda image: image.T,
        "turn": lambda image: np.rot90(image),
    }[operation]

    def measure(labels: np.ndarray) -> np.ndarray:
        others = two_point_of(np.stack([turned(image) for image in labels])) if len(labels) else torch.empty(0)
        pairs = zip(two_point_of(labels), others, strict=True)
        return np.array([float(distances(f, g[None])[0]) for f, g in pairs])

    return measure


def _distance_to(image: str) -> Callable[[np.ndarray], np.ndarray]:
    def measure(labels: np.ndarray) -> np.ndarray:
        if not len(labels):
            return np.empty(0)
        return distances(_reference(image), two_point_of(labels)).numpy()

    return measure


@lru_cache(maxsize=4)
def _reference(image: str) -> torch.Tensor:
    """Two-point statistics of the one image in a file, `(X, Y)`."""
    batch = read_npy(image)
    if len(batch) != 1:
        raise InputError(f"{image}: holds {len(batch)} images; expected one to be similar to.")
    return two_point_of(batch.labels)[0]
