"""Options and arguments that several commands share, and the parsing of values such as `Ex=3.6`."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer
import yaml

from microdesign.core.errors import InputError
from microdesign.core.strict_yaml import parse_yaml

if TYPE_CHECKING:
    from microdesign.microstructure.io.options import ReadOptions
    from microdesign.microstructure.io.segmentation_preview import SegmentationPreview

Number = TypeVar("Number", int, float)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else there.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a setting, such as loop.epochs=5.")
]
ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="YAML file of settings.")]
MaterialsFile = Annotated[Path, typer.Option("--materials", help="YAML file of the phases, or names: aluminium,pore.")]
Reader = Annotated[
    str | None, typer.Option(metavar="NAME", help="Reader of the file: a known one, or MODULE:CLASS of your own.")
]
Array = Annotated[
    str | None,
    typer.Option(help="Which array (TIFF: channel, from 0) holds the images, where there are several."),
]
Shape = Annotated[
    str | None, typer.Option(metavar="X,Y", help="Pixels of an image in HDF5, also of those stored as flat rows.")
]
Dims = Annotated[int | None, typer.Option(help="2: a stack of images; 3: one volume.")]
Phases = Annotated[int | None, typer.Option(help="Number of phases; the largest label + 1 when left out.")]
Values = Annotated[str | None, typer.Option(metavar="A,B", help="The value that stands for each phase.")]
PixelSize = Annotated[
    str | None,
    typer.Option(metavar="0.5um", help="Edge of a pixel, or its edges 0.5,0.5,2um, in place of what the file states."),
]
Threshold = Annotated[
    str | None,
    typer.Option(metavar="HOW", help="Of grey images: otsu, multi-otsu:3, a grey level, or several such as 80,160."),
]
Preview = Annotated[
    Path | None, typer.Option(metavar="FILE.png", help="Draw grey images, their phases and the thresholds.")
]
Periodic = Annotated[
    bool | None,
    typer.Option("--periodic/--not-periodic", help="Whether images tile space; as the file states when left out."),
]
Images = Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Files of phase labels.")]
Experiment = Annotated[
    Literal["fidelity", "reconstruction", "forward", "inverse", "latent"] | None,
    typer.Option("--what", help="The experiment, for evaluate; the config's own `what` when left out."),
]


def names(text: str) -> list[str]:
    """Splits `A,B,...`."""
    return [name.strip() for name in text.split(",") if name.strip()]


def numbers(option: str, text: str, kind: Callable[[str], Number], such_as: str) -> tuple[Number, ...]:
    """Reads `1,2,...`.

    Raises:
        InputError: A part is no number.
    """
    try:
        return tuple(kind(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"{option} {text}: expected numbers with commas between them, such as {such_as}.") from None


def read_options(
    array: str | None = None,
    shape: str | None = None,
    dims: int | None = None,
    phases: int | None = None,
    values: str | None = None,
    pixel_size: str | None = None,
    threshold: str | None = None,
    periodic: bool | None = None,
    preview: "SegmentationPreview | None" = None,
) -> "ReadOptions":
    """Returns what the command line says about a file of images.

    Raises:
        InputError: A value is no number, out of its range, or contradicts another.
    """
    from microdesign.microstructure.io.options import ReadOptions

    return ReadOptions(
        array=array,
        shape=None if shape is None else numbers("--shape", shape, int, "64,64"),
        dims=dims,
        n_phases=phases,
        values=None if values is None else numbers("--values", values, float, "0,255"),
        pixel_size=pixel_size,
        threshold=threshold,
        periodic=periodic,
        on_segmented=preview,
    )


@contextmanager
def previewed(path: Path | None, threshold: str | None) -> "Iterator[SegmentationPreview | None]":
    """Yields what `read_options` takes as preview; the file is written when the images were read.

    Raises:
        InputError: There is no threshold, or the file is no PNG.
    """
    if path is None:
        yield None
        return
    from microdesign.microstructure.io.segmentation_preview import SegmentationPreview, check_png

    check_png(path)
    if threshold is None:
        raise InputError(f"--preview {path}: goes with --threshold, which says how grey levels become phases.")
    preview = SegmentationPreview()
    try:
        yield preview
    finally:
        # Also where the phases turned out not to be what the command needs: the picture shows why.
        preview.write(path)


def targets(pairs: Sequence[str]) -> dict[str, float]:
    """Reads `NAME=VALUE` pairs.

    Raises:
        InputError: A pair has no `=`, or its value is no number.
    """
    values = {}
    for pair in pairs:
        name, _, text = pair.partition("=")
        try:
            values[name.strip()] = float(text)
        except ValueError:
            raise InputError(f"--target {pair}: expected NAME=VALUE with a number, such as Ex=3.6.") from None
    return values


def goals(pairs: Sequence[str]) -> dict[str, Any]:
    """Reads `NAME=GOAL` pairs, where a goal may be relative to an image: `Ex=2.4`, `Ex=1.15x`, `kx=match`.

    Raises:
        InputError: A pair has no `=`, no goal, or one that is no YAML.
    """
    values = {}
    for pair in pairs:
        name, _, text = pair.partition("=")
        try:
            values[name.strip()] = parse_yaml(text)
        except (yaml.YAMLError, ValueError):
            values[name.strip()] = None
        if not name.strip() or values[name.strip()] is None:
            raise InputError(f"--target {pair}: expected NAME=VALUE, such as Ex=3.6, Ex=1.15x or kx=match.")
    return values


def as_overrides(values: Mapping[str, Any]) -> list[str]:
    """Returns the values of options as overrides of a config, `name=value` each."""
    return [f"{name}={json.dumps(value, default=str)}" for name, value in values.items()]
