"""What a user can state about a file that the file does not state itself."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from microdesign.core.errors import InputError
from microdesign.core.units import read_pixel_size
from microdesign.microstructure.data.container import MAX_PHASES
from microdesign.microstructure.data.sections import Section
from microdesign.microstructure.io.thresholds import check_threshold

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from microdesign.microstructure.io.thresholds import Segmentation

OnSegmented = Callable[[str, "NDArray", "Segmentation"], None]
"""Takes the name of a source, its first image's grey levels and their `Segmentation`."""

FLAGS = {
    "array": "--array",
    "shape": "--shape",
    "dims": "--dims",
    "n_phases": "--phases",
    "values": "--values",
    "pixel_size": "--pixel-size",
    "threshold": "--threshold",
    "periodic": "--periodic",
    "section": "--section",
}
"""Each option as the command line calls it."""
_FOR_ALL = ("pixel_size", "periodic", "section")
"""Options that `read_images` sees to, whatever the format."""


class ImagesOrVolumesError(InputError):
    """A file may hold images or volumes; the option `dims` has to tell."""


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """Options of reading; None leaves it to the file.

    Attributes:
        array: Which array holds the images, where a file holds several; of a TIFF file the number of the channel, from
            0.
        shape: Pixels along x, y (and z) of an image, also of those that are stored as flat rows.
        dims: 2 or 3: whether three axes, or pages, are a stack of images or one volume.
        n_phases: Number of phases; None takes the largest label plus one where the file does not state it.
        values: The number that stands for each phase, in the order of the labels, such as `(0, 255)`.
        pixel_size: Edge of a pixel with its unit, `0.5um`, or its edges, `0.5,0.5,2um`, in the place of what the file
            states. It means something for every format.
        threshold: How grey levels become phases: `otsu`, `multi-otsu:3`, a grey level, or several such as `80,160`; see
            `thresholds`.
        periodic: Whether the images tile space without a seam; None takes what the file states.
        section: Which sections of a volume are the images, such as `z=100`; see `data.sections`.
        on_segmented: Called when grey images became phases.

    Raises:
        InputError: A value is out of its range, or two options contradict each other.
    """

    array: str | None = None
    shape: tuple[int, ...] | None = None
    dims: int | None = None
    n_phases: int | None = None
    values: tuple[float, ...] | None = None
    pixel_size: str | None = None
    threshold: str | None = None
    periodic: bool | None = None
    section: str | None = None
    on_segmented: OnSegmented | None = None

    def __post_init__(self) -> None:
        if self.shape is not None and (len(self.shape) not in (2, 3) or min(self.shape) < 1):
            raise InputError(f"--shape {self.shape}: expected two or three positive numbers of pixels, x first.")
        if self.dims not in (None, 2, 3):
            raise InputError(f"--dims {self.dims}: expected 2 or 3.")
        if self.n_phases is not None and not 1 <= self.n_phases <= MAX_PHASES:
            raise InputError(f"--phases {self.n_phases}: expected 1 to {MAX_PHASES}.")
        if self.values is not None and not 1 <= len(set(self.values)) == len(self.values) <= MAX_PHASES:
            raise InputError(f"--values {self.values}: expected 1 to {MAX_PHASES} different numbers, one per phase.")
        if self.pixel_size is not None:
            read_pixel_size(self.pixel_size)
        if self.section is not None:
            Section.parse(self.section)
            if self.dims == 2:
                raise InputError(f"--section {self.section} cuts volumes; leave out --dims 2.")
        if self.threshold is not None:
            check_threshold(self.threshold)
            other = "values" if self.values is not None else "n_phases" if self.n_phases is not None else None
            if other is not None:
                raise InputError(f"{FLAGS[other]} and --threshold both say what is which phase; leave one out.")

    def given(self) -> list[str]:
        """Returns the names of the options that were given."""
        return [field.name for field in fields(self) if field.name in FLAGS and getattr(self, field.name) is not None]

    def refuse_others(self, taken: tuple[str, ...], path: Path, kind: str) -> None:
        """Refuses an option that has no meaning for a format.

        Raises:
            InputError: An option outside `taken` was given.
        """
        for name in self.given():
            if name not in (*taken, *_FOR_ALL):
                raise InputError(f"{path}: {FLAGS[name]} has no meaning for {kind}; leave it out.")


NO_OPTIONS = ReadOptions()
"""Everything is left to the file."""
