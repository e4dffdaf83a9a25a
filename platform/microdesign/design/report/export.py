"""A design as files: `.npy` for programs, `.png` for people, `.vti` for ParaView."""

import base64
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from microdesign.core.files import replacing
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.drawing import picture, png
from microdesign.microstructure.io.formats.vti import write_vti

PIXEL = 4
"""Edge of an image's pixel in its picture."""


def write_image(path: Path, labels: np.ndarray) -> None:
    """Writes labels uint8 `(X, Y)` as `.npy`, and beside it as `.png`."""
    write_labels(path, labels)
    with replacing(path.with_suffix(".png")) as temporary:
        temporary.write_bytes(png(picture(labels, scale=PIXEL)))


def write_design(path: Path, labels: np.ndarray, properties: Mapping[str, float]) -> dict[str, str]:
    """Writes a design as `.npy`, `.png` and `.vti`, the last with its properties; returns the paths by kind."""
    write_image(path, labels)
    values = {name: np.array([value]) for name, value in properties.items()}
    write_vti(path.with_suffix(".vti"), Microstructures(labels=labels[None], n_phases=2, properties=values))
    return {kind: str(path.with_suffix(f".{kind}")) for kind in ("npy", "png", "vti")}


def write_labels(path: Path, labels: np.ndarray) -> None:
    """Writes labels uint8, `(X, Y)` or a stack `(n, X, Y)`, as `.npy`."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, labels, allow_pickle=False)


def data_uri(labels: np.ndarray) -> str:
    """The picture of labels uint8 `(X, Y)` as a `data:` URI, for HTML."""
    return png_uri(png(picture(labels, scale=PIXEL)))


def png_uri(content: bytes) -> str:
    """A PNG file as a `data:` URI."""
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"
