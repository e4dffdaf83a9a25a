"""The options by which a user says what a file of images does not state itself: one definition for all commands."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from microdesign.cli.options import numbers
from microdesign.core.errors import InputError

if TYPE_CHECKING:
    from microdesign.microstructure.io.options import ReadOptions
    from microdesign.microstructure.io.segmentation_preview import SegmentationPreview

PARAMETER = "images_as"
"""Name of the parameter that `takes_image_options` fills."""

Reader = Annotated[
    str | None, typer.Option(metavar="NAME", help="Reader of the file: a known one, or MODULE:CLASS of your own.")
]
_ANNOTATIONS: Mapping[str, Any] = {
    "array": Annotated[
        str | None,
        typer.Option(help="Which array (TIFF: channel, from 0) holds the images, where there are several."),
    ],
    "shape": Annotated[
        str | None, typer.Option(metavar="X,Y", help="Pixels of an image in HDF5, also of those stored as flat rows.")
    ],
    "dims": Annotated[int | None, typer.Option(help="2: a stack of images; 3: one volume.")],
    "phases": Annotated[int | None, typer.Option(help="Number of phases; the largest label + 1 when left out.")],
    "values": Annotated[str | None, typer.Option(metavar="A,B", help="The value that stands for each phase.")],
    "pixel_size": Annotated[
        str | None,
        typer.Option(
            metavar="0.5um", help="Edge of a pixel, or its edges 0.5,0.5,2um, in place of what the file states."
        ),
    ],
    "threshold": Annotated[
        str | None,
        typer.Option(
            metavar="HOW", help="Of grey images: otsu, multi-otsu:3, a grey level, or several such as 80,160."
        ),
    ],
    "section": Annotated[
        str | None, typer.Option(metavar="z=100", help="Sections of a volume across an axis; several: z=50,100,150.")
    ],
    "preview": Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Draw grey images, their phases and the thresholds.")
    ],
    "reader": Reader,
    "periodic": Annotated[
        bool | None,
        typer.Option("--periodic/--not-periodic", help="Whether images tile space; as the file states when left out."),
    ],
}


@dataclass(frozen=True, kw_only=True)
class ImageOptions:
    """What the command line says about how images are read, as it was given; None is not given."""

    array: str | None = None
    shape: str | None = None
    dims: int | None = None
    phases: int | None = None
    values: str | None = None
    pixel_size: str | None = None
    threshold: str | None = None
    section: str | None = None
    preview: Path | None = None
    reader: str | None = None
    periodic: bool | None = None

    def given(self) -> dict[str, Any]:
        """Returns the options that were given, lists of numbers as such.

        Raises:
            InputError: A value is no list of numbers.
        """
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        if self.shape is not None:
            found["shape"] = numbers("--shape", self.shape, int, "64,64")
        if self.values is not None:
            found["values"] = numbers("--values", self.values, float, "0,255")
        return {name: value for name, value in found.items() if value is not None}

    @contextmanager
    def reading(self, **others: Any) -> "Iterator[ReadOptions]":
        """Yields the options of reading; a preview is written when the images were read.

        Args:
            others: Options of reading that a command states in another way.

        Raises:
            InputError: A value is no number, out of its range, or contradicts another.
        """
        from microdesign.microstructure.io.options import ReadOptions

        values = self.given() | others
        for not_of_the_file in ("preview", "reader"):
            values.pop(not_of_the_file, None)
        if "phases" in values:
            values["n_phases"] = values.pop("phases")
        with self.previewing() as preview:
            yield ReadOptions(**values, on_segmented=preview)

    @contextmanager
    def previewing(self) -> "Iterator[SegmentationPreview | None]":
        """Yields what draws the preview, None without one; the file is written in the end.

        Raises:
            InputError: There is no threshold, or the file is no PNG.
        """
        if self.preview is None:
            yield None
            return
        from microdesign.microstructure.io.segmentation_preview import SegmentationPreview, check_png

        check_png(self.preview)
        if self.threshold is None:
            raise InputError(f"--preview {self.preview}: goes with --threshold, which makes phases of grey levels.")
        preview = SegmentationPreview()
        try:
            yield preview
        finally:
            # Also where the phases turned out not to be what the command needs: the picture shows why.
            preview.write(self.preview)


AS_STATED = ImageOptions()
"""Everything is left to the file."""


def takes_image_options(*left_out: str, periodic: bool = False) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command the options of reading images in the place of its parameter `images_as: ImageOptions`.

    Args:
        left_out: Options that the command does not take.
        periodic: Whether it takes `--periodic`.
    """
    names = [name for name in _ANNOTATIONS if name not in left_out and (periodic or name != "periodic")]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        parameters: list[inspect.Parameter] = []
        for parameter in inspect.signature(command).parameters.values():
            if parameter.name == PARAMETER:
                kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
                parameters += [
                    inspect.Parameter(name, kind, default=None, annotation=_ANNOTATIONS[name]) for name in names
                ]
            else:
                parameters.append(parameter)

        @wraps(command)
        def with_options(**values: Any) -> None:
            options = ImageOptions(**{name: values.pop(name) for name in names})
            command(**values, **{PARAMETER: options})

        with_options.__dict__["__signature__"] = inspect.Signature(parameters)
        with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return with_options

    return decorate
