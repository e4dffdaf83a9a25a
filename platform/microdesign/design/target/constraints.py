"""Constraints on the microstructure: what is measured on the decoded image itself, and the range it must keep.

Shapes: n images, `*N` image (X, Y) or volume (X, Y, Z).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, field_validator, model_validator

from microdesign.core.config import Config
from microdesign.core.errors import InputError
from microdesign.core.pixels import check_edges, shown_edges
from microdesign.core.units import convert, read_length

PhaseLabel = Annotated[int, Field(ge=0, le=255)]
Axis = Literal["x", "y", "z"]
Symmetry = Literal["mirror", "diagonal", "turn", "orthotropic", "cubic"]
_SYMMETRIES: Mapping[int, tuple[Symmetry, ...]] = {2: ("mirror", "diagonal", "turn"), 3: ("orthotropic", "cubic")}


@dataclass(frozen=True)
class Check:
    """One constraint: what is measured of images uint8 `(n, *N)`, `(n,)`, and its least and largest value."""

    name: str
    measure: Callable[[np.ndarray], np.ndarray]
    low: float
    high: float
    is_length: bool = False
    """Whether the values are lengths, in pixels."""

    def holds(self, labels: np.ndarray) -> np.ndarray:
        """Whether the images keep it, bool `(n,)`; what cannot be measured (an absent phase) does not."""
        values = self.measure(labels)
        return (values >= self.low) & (values <= self.high)


class FeatureSize(Config):
    """Least width of a phase."""

    at_least: float | str = Field(description="pixels, or a length with its unit such as 4um")
    ignore: float = Field(0.05, ge=0, lt=1, description="share of the phase that may be thinner: specks, cusps")

    @field_validator("at_least", mode="before")
    @classmethod
    def _length(cls, value: Any) -> Any:
        number, unit = read_length(value, "at_least")
        return value if unit else number

    def in_pixels(self, pixel_size: float, length_unit: str) -> "FeatureSize":
        """The same with the width in pixels of a size.

        Raises:
            InputError: The width is a length, and the unit of the pixel size is not known.
        """
        number, unit = read_length(self.at_least, "at_least")
        if not unit:
            return self
        if not length_unit:
            raise InputError(
                f"feature_size: at_least {self.at_least} is a length, and the size of the model's pixels is not known; "
                "state the campaign's pixel_size, such as 0.5um, or the width in pixels."
            )
        return self.model_copy(update={"at_least": convert(number, unit, length_unit) / pixel_size})

    @property
    def width(self) -> float:
        """The width in pixels.

        Raises:
            InputError: It is a length; `in_pixels` comes first.
        """
        return float(self.in_pixels(1.0, "").at_least)


class Similarity(Config):
    """Likeness to a material, a class or a data set; at any volume fraction."""

    renamed: ClassVar = {"image": "images"}

    images: str = Field(
        description="file, folder or data set of images of the model's size or larger: these, or windows of them, are "
        "the population"
    )
    within: float = Field(
        1.0, gt=0, description="largest distance from the population; 95 % of its own members are within 1"
    )


class Constraints(Config):
    """What a microstructure must keep, whatever its properties; phases are labels, from 0."""

    volume_fraction: Mapping[PhaseLabel, tuple[float, float]] = Field(
        default_factory=dict, description="least and most of each phase, {1: [0.2, 0.3]}; [0.2, 0.3] is that of phase 1"
    )
    feature_size: Mapping[PhaseLabel, FeatureSize] = Field(default_factory=dict, description="width of phases")
    percolates: Mapping[PhaseLabel, Mapping[Axis, bool]] = Field(
        default_factory=dict,
        description="whether a phase is endless along an axis of the image repeated or mirrored, or must not be",
    )
    connected: Mapping[PhaseLabel, float] = Field(
        default_factory=dict, description="least share of a phase that its largest cluster holds"
    )
    symmetry: Mapping[Symmetry, float] = Field(
        default_factory=dict,
        description="largest difference of the two-point statistics from those of the image mirrored in x, mirrored in "
        "the diagonal, or turned by 90 degrees, of a volume mirrored in each plane (orthotropic) and turned about each "
        "axis too (cubic); 0 if it is the same up to a shift",
    )
    similar_to: Similarity | None = None

    @field_validator("volume_fraction", mode="before")
    @classmethod
    def _of_phase_1(cls, value: Any) -> Any:
        return {1: value} if isinstance(value, list | tuple) else value

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        for phase, (low, high) in self.volume_fraction.items():
            if not 0 <= low < high <= 1:
                raise ValueError(f"volume_fraction of phase {phase}: expected [low, high] with 0 <= low < high <= 1")
        if sum(low for low, _ in self.volume_fraction.values()) > 1:
            raise ValueError("volume_fraction: the least ones of all phases add up to more than 1")
        for name in ("connected", "symmetry"):
            for key, value in getattr(self, name).items():
                if not 0 <= value <= 1:
                    raise ValueError(f"{name}.{key} = {value:g}: expected a share from 0 to 1")
        return self

    def in_pixels(self, pixel_size: float, length_unit: str) -> Self:
        """The same constraints with all lengths in pixels.

        Args:
            pixel_size: Edge of a pixel of the images.
            length_unit: Its unit; empty where it is not known.

        Raises:
            InputError: A constraint is a length, and the unit of the pixel size is not known.

        Example:
            >>> constraints = Constraints(feature_size={1: {"at_least": "4um"}})
            >>> constraints.in_pixels(0.5, "um").feature_size[1].at_least
            8.0
        """
        sizes = {phase: feature.in_pixels(pixel_size, length_unit) for phase, feature in self.feature_size.items()}
        return self.model_copy(update={"feature_size": sizes})

    def check_images(self, shape: Sequence[int], phases: int = 2, aspect: Sequence[float] = ()) -> None:
        """Refuses constraints that no image of a shape and number of phases keeps.

        Args:
            shape: Pixels along each axis.
            phases: Number of phases.
            aspect: Edges of a pixel along each axis over that along x; empty for squares and cubes.

        Raises:
            InputError: A phase, an axis or a symmetry is not one of such images, the phases shall be wider than the
                image, a phase that percolates has no room for its width or cuts another one off, the reference has
                another size or other pixels, or a width is of pixels that are no squares.
        """
        self._check_names(len(shape), phases)
        self._check_grid(shape, aspect)
        extent = " x ".join(map(str, shape))
        widths = {phase: feature.width for phase, feature in self.feature_size.items()}
        if sum(widths.values()) > max(shape):
            asked = " and ".join(f"phase {phase} {width:g}" for phase, width in widths.items())
            raise InputError(f"feature_size: {asked} pixels wide do not fit into an image of {extent} pixels.")
        for phase, axes in self.percolates.items():
            least = self._least_path(phase, shape)
            if any(axes.values()) and (most := self._most(phase, phases)) < least:
                raise InputError(
                    f"phase {phase} cannot be endless with at most {most:g} of the image: a straight path "
                    f"{widths.get(phase, 1.0):g} pixels wide takes {least:.3g} of {extent} pixels."
                )
        if len(shape) == 2:
            self._check_cut_off()
        if self.similar_to is not None:
            from microdesign.design.target import measures

            check_edges(measures.edges_of(self.similar_to.images, len(shape)), aspect, self.similar_to.images)
            measures.population_of(self.similar_to.images, tuple(shape), phases)

    def _check_names(self, dims: int, phases: int) -> None:
        named = (*self.volume_fraction, *self.feature_size, *self.percolates, *self.connected)
        if (highest := max(named, default=0)) >= phases:
            raise InputError(f"constraints: there is no phase {highest}; expected labels 0 to {phases - 1}.")
        if dims == 2 and any("z" in axes for axes in self.percolates.values()):
            raise InputError("percolates: images have no axis z; expected x or y.")
        for name in self.symmetry:
            if name not in _SYMMETRIES[dims]:
                what, expected = "images" if dims == 2 else "volumes", " or ".join(_SYMMETRIES[dims])
                raise InputError(f"symmetry {name} is none of {what}; expected {expected}.")
        others = sum(low for phase, (low, _) in self.volume_fraction.items())
        highs = [self.volume_fraction.get(phase, (0.0, 1.0))[1] for phase in range(phases)]
        if others > 1 or sum(highs) < 1:
            raise InputError("volume_fraction: the largest ones of all phases add up to less than 1.")

    def _check_grid(self, shape: Sequence[int], aspect: Sequence[float]) -> None:
        """Widths are measured in round neighbourhoods of pixels, and a turn has to map the grid onto itself."""
        if self.feature_size and aspect:
            raise InputError(
                f"feature_size: widths are measured on squares or cubes; the model's pixels are {shown_edges(aspect)}."
            )
        kinds = set(zip(shape, aspect or (1.0,) * len(shape), strict=True))
        for name in {"turn", "diagonal", "cubic"} & set(self.symmetry):
            if len(kinds) > 1:
                pixels = f" of {shown_edges(aspect)}" if aspect else ""
                raise InputError(
                    f"symmetry {name} exchanges axes; images of {' x '.join(map(str, shape))} pixels{pixels} have "
                    "none that are alike: expected mirror or orthotropic."
                )

    def _check_cut_off(self) -> None:
        """In the plane a phase that is endless along one axis alone leaves no way across it."""
        for phase, axes in self.percolates.items():
            for axis, wanted in axes.items():
                across: Axis = "y" if axis == "x" else "x"
                cut = [other for other, ways in self.percolates.items() if other != phase and ways.get(across)]
                if wanted and axes.get(across) is False and cut:
                    raise InputError(
                        f"phase {phase}, endless along {axis} and not along {across}, cuts phase {cut[0]} off along "
                        f"{across}: percolates.{cut[0]}.{across} cannot be true as well."
                    )

    def _most(self, phase: int, phases: int) -> float:
        """Largest volume fraction that the constraints leave a phase."""
        others = sum(self.volume_fraction.get(each, (0.0, 1.0))[0] for each in range(phases) if each != phase)
        return min(self.volume_fraction.get(phase, (0.0, 1.0))[1], 1 - others)

    def _least_path(self, phase: int, shape: Sequence[int]) -> float:
        """Share of the image that a straight path of a phase's width takes, along the axis where it takes the least."""
        width, ignored = 1.0, 0.0
        if phase in self.feature_size:
            width, ignored = self.feature_size[phase].width, self.feature_size[phase].ignore
        across = sorted(shape)[1:]
        disc = math.pi / 4 if len(across) == 2 and width > 1 else 1.0
        return max(1.0, disc * width ** len(across) * (1 - ignored)) / math.prod(across)

    def checks(self, phases: int = 2, periodic: bool = True) -> tuple[Check, ...]:
        """All constraints on images of so many phases that repeat, or are mirrored; the quickest to measure first."""
        # torch takes seconds to import, and a config is read without it.
        from microdesign.design.target import measures

        fractions = self.volume_fraction or {1: (0.0, 1.0)}
        alone = set(fractions) == {1}
        checks = [
            Check("volume_fraction" if alone else f"volume_fraction_{phase}", measures.volume_fraction(phase), *ends)
            for phase, ends in fractions.items()
        ]
        for operation, limit in self.symmetry.items():
            checks.append(Check(f"symmetry_{operation}", measures.asymmetry(operation), 0.0, limit))
        if self.similar_to is not None:
            distance = measures.distance_to_population(self.similar_to.images, phases, periodic)
            checks.append(Check("distance_to_population", distance, 0.0, self.similar_to.within))
        for phase, share in self.connected.items():
            checks.append(Check(f"connected_{phase}", measures.largest_cluster_share(phase, periodic), share, 1.0))
        for phase, axes in self.percolates.items():
            for axis, wanted in axes.items():
                endless = measures.percolation(phase, axis, periodic)
                checks.append(Check(f"percolates_{phase}_{axis}", endless, float(wanted), float(wanted)))
        for phase, feature in self.feature_size.items():
            width = measures.feature_width(phase, feature.ignore, periodic)
            checks.append(Check(f"feature_size_{phase}", width, feature.width, np.inf, is_length=True))
        return tuple(checks)

    def admits(self, labels: np.ndarray, phases: int = 2, periodic: bool = True) -> np.ndarray:
        """Whether images uint8 `(n, *N)` keep all constraints, bool `(n,)`."""
        admitted = np.arange(len(labels))
        for check in self.checks(phases, periodic):
            admitted = admitted[check.holds(labels[admitted])] if len(admitted) else admitted
        return np.isin(np.arange(len(labels)), admitted)

    def counts(self, labels: np.ndarray, phases: int = 2, periodic: bool = True) -> dict[str, int]:
        """How many of the images uint8 `(n, *N)` keep each constraint."""
        return {check.name: int(check.holds(labels).sum()) for check in self.checks(phases, periodic)}

    def values(self, labels: np.ndarray, phases: int = 2, periodic: bool = True) -> dict[str, np.ndarray]:
        """What the constraints are about, measured: `(n,)` each; percolation as 0 or 1."""
        return {check.name: check.measure(labels) for check in self.checks(phases, periodic)}
