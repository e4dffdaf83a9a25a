"""A design as files: `.npy` for programs, `.png` for people, `.vti` for ParaView."""

import base64
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from microdesign.core.files import replacing
from microdesign.core.pixels import Pixel
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.drawing import UNKNOWN, in_proportion, picture, png
from microdesign.microstructure.io.formats.vti import write_vti
from microdesign.microstructure.scale_bar import with_scale_bar

PIXEL = 4
"""Edge of an image's pixel in its picture."""


def write_image(path: Path, labels: np.ndarray, pixel: Pixel = UNKNOWN, phases: int = 2) -> None:
    """Writes labels uint8 `(*N)` as `.npy`, and beside it as `.png`, with a scale bar where the size is known."""
    write_labels(path, labels)
    with replacing(path.with_suffix(".png")) as temporary:
        temporary.write_bytes(_drawn(labels, pixel, phases))


def write_design(
    path: Path,
    labels: np.ndarray,
    properties: Mapping[str, float],
    pixel: Pixel = UNKNOWN,
    phases: int = 2,
    periodic: bool = True,
) -> dict[str, str]:
    """Writes a design as `.npy`, `.png` and `.vti`, the last with its properties; returns the paths by kind.

    Args:
        path: The `.npy`.
        labels: uint8 `(X, Y)` or `(X, Y, Z)`.
        properties: Of the design.
        pixel: Size of a pixel.
        phases: Number of phases.
        periodic: Whether the design repeats; the `.vti` says it, so that `homogenize` takes the same boundary.
    """
    write_image(path, labels, pixel, phases)
    values = {name: np.array([value]) for name, value in properties.items()}
    batch = Microstructures(
        labels=labels[None],
        n_phases=phases,
        properties=values,
        periodic=periodic,
        **pixel.fields,
    )
    write_vti(path.with_suffix(".vti"), batch)
    return {kind: str(path.with_suffix(f".{kind}")) for kind in ("npy", "png", "vti")}


def write_labels(path: Path, labels: np.ndarray) -> None:
    """Writes labels uint8, `(*N)` or a stack `(n, *N)`, as `.npy`."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, labels, allow_pickle=False)


def data_uri(labels: np.ndarray, phases: int = 2, pixel: Pixel = UNKNOWN) -> str:
    """The picture of labels uint8 `(*N)` as a `data:` URI, for HTML, in the proportions of the pixel, without a bar."""
    return png_uri(_drawn(labels, pixel.proportions, phases))


def _drawn(labels: np.ndarray, pixel: Pixel, phases: int) -> bytes:
    grey = picture(in_proportion(labels, pixel.aspect), phases, PIXEL)
    return png(with_scale_bar(grey, pixel.shortest / PIXEL, pixel.unit))


def png_uri(content: bytes) -> str:
    """A PNG file as a `data:` URI."""
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"
