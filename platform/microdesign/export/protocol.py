"""What an exporter is given and what it has to be: the protocol of the pluggable kind `--to`."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from microdesign.core.errors import InputError
from microdesign.core.units import shown_unit
from microdesign.physics.materials import Materials


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One microstructure to export.

    Attributes:
        name: Name of its files, without a suffix.
        source: Where it comes from, for messages: its path, with its number where there are several.
        labels: Phase labels, uint8 `(X, Y)` or `(X, Y, Z)`; axis 0 is x.
        n_phases: Number of phases; a phase may be absent.
        spacing: Edge lengths of a pixel or voxel, as many as axes, in `unit`.
        unit: Unit of the lengths, such as `um`; empty where it is not known, and lengths are in pixels then.
        periodic: Whether it tiles space without a seam.
        materials: The phases, where they were given.
    """

    name: str
    source: str
    labels: NDArray[np.uint8]
    n_phases: int
    spacing: tuple[float, ...]
    unit: str = ""
    periodic: bool = True
    materials: Materials | None = None

    @property
    def is_image(self) -> bool:
        """Whether it is two-dimensional."""
        return self.labels.ndim == 2

    @property
    def lengths(self) -> tuple[float, ...]:
        """Edge lengths of the whole, in `unit`."""
        return tuple(n * edge for n, edge in zip(self.labels.shape, self.spacing, strict=True))

    @property
    def phases(self) -> list[int]:
        """The phases that are there."""
        return [int(phase) for phase in np.unique(self.labels)]

    @property
    def size(self) -> str:
        """Its pixels and the edge of one, for people."""
        unit = shown_unit(self.unit) or "(unit not known)"
        edges = " x ".join(f"{edge:.6g}" for edge in self.spacing)
        kind = "pixels" if self.is_image else "voxels"
        return f"{' x '.join(map(str, self.labels.shape))} {kind} of {edges} {unit}"

    def extruded(self) -> "Sample":
        """Returns the volume: an image as a plate of one voxel, as thick as a pixel is long along x."""
        if not self.is_image:
            return self
        return replace(self, labels=self.labels[:, :, None], spacing=(*self.spacing, self.spacing[0]))

    def given_materials(self, what: str) -> Materials:
        """Returns the materials; `what` says what has to be known of them, `stiffness` or `conductivity`, or neither.

        Raises:
            InputError: There are none, fewer phases than labels, or they lack what is asked for.
        """
        if self.materials is None:
            raise InputError(f"{self.source}: this format states materials; give them by --materials.")
        if self.phases[-1] >= len(self.materials.phases):
            raise InputError(
                f"{self.source}: has a phase {self.phases[-1]}, but the materials have {len(self.materials.phases)} "
                f"phases; expected one for each label."
            )
        if what == "stiffness" and not self.materials.has_stiffness:
            raise InputError(f"{self.source}: this format states stiffnesses; expected E and nu of each phase.")
        return self.materials


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What a user may choose; None leaves it to the format.

    Attributes:
        phase: The phase that is exported alone.
        smooth: Standard deviation, in pixels, of the Gaussian that rounds the steps of pixels off surfaces and
            outlines; 0 leaves the steps.
    """

    phase: int | None = None
    smooth: float | None = None

    def __post_init__(self) -> None:
        if self.smooth is not None and not 0 <= self.smooth <= 5:
            raise InputError(f"--smooth {self.smooth} is out of range; expected 0 to 5 pixels.")

    def phases_of(self, sample: Sample) -> list[int]:
        """Returns the phases to export.

        Raises:
            InputError: The one that was named is not there.
        """
        if self.phase is None:
            return sample.phases
        if self.phase not in sample.phases:
            raise InputError(
                f"{sample.source}: has no phase {self.phase}; expected one of {', '.join(map(str, sample.phases))}."
            )
        return [self.phase]


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What became of one microstructure.

    Attributes:
        name: Its source.
        files: The files, the one to open first.
        notes: What a user has to know of them, a sentence each.
    """

    name: str
    files: tuple[Path, ...]
    notes: tuple[str, ...] = ()


class Exporter(Protocol):
    """Writes one microstructure for another program.

    Attributes:
        takes: The options that mean something to it, of `phase` and `smooth`.
    """

    takes: tuple[str, ...]

    def write(self, sample: Sample, folder: Path, options: ExportOptions) -> tuple[list[Path], list[str]]:
        """Writes the files, whose names begin with `sample.name`, into `folder`.

        Returns:
            The files, and notes for the user.

        Raises:
            InputError: The format cannot hold the sample.
        """
        ...
