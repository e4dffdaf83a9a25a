"""Contact sheets: the first images of each class side by side, as PNG."""

from collections.abc import Iterable
from pathlib import Path

import matplotlib.image
import numpy as np
from numpy.typing import NDArray

from microdesign.errors import InputError
from microdesign.files import replacing
from microdesign.microstructure.container import Microstructures

COLUMNS = 8
ROWS = 4
_MARGIN = 4
_PAPER = 255


def write_contact_sheets(
    batches: Iterable[Microstructures], folder: str | Path, columns: int = COLUMNS, rows: int = ROWS
) -> dict[str, Path]:
    """Writes `<class>.png` for each class with its first `columns * rows` images, of volumes the section at z = 0.

    x points to the right and y up; phase 0 is light, the highest phase dark.

    Returns:
        The file of each class.

    Raises:
        InputError: There are no images.
        StorageError: A file cannot be written.
    """
    wanted = columns * rows
    first: dict[str, list[NDArray[np.uint8]]] = {}
    n_phases = 1
    for batch in batches:
        n_phases = max(n_phases, batch.n_phases)
        sections = batch.labels if len(batch.shape) == 2 else batch.labels[..., 0]
        for name, image in zip(batch.classes, sections, strict=True):
            kept = first.setdefault(name or "unnamed", [])
            if len(kept) < wanted:
                kept.append(image.copy())
    if not first:
        raise InputError("there are no images for a contact sheet; expected at least one.")
    files = {}
    for name, images in first.items():
        files[name] = Path(folder) / f"{name.replace('/', '_')}.png"
        with replacing(files[name]) as temporary:
            matplotlib.image.imsave(
                temporary, _sheet(images, columns, n_phases), format="png", cmap="gray", vmin=0, vmax=255
            )
    return files


def _sheet(images: list[NDArray[np.uint8]], columns: int, n_phases: int) -> NDArray[np.uint8]:
    # Rows of an array run downwards in a picture: transposed and flipped, x is to the right and y up.
    tiles = [np.flipud(image.T) for image in images]
    height, width = tiles[0].shape
    # Small images are enlarged by whole pixels, so that each pixel stays visible.
    scale = max(1, 128 // max(height, width))
    height, width = height * scale + _MARGIN, width * scale + _MARGIN
    columns = min(columns, len(tiles))
    sheet = np.full((-(-len(tiles) // columns) * height + _MARGIN, columns * width + _MARGIN), _PAPER, dtype=np.uint8)
    greys = np.linspace(220, 30, max(n_phases, 2)).astype(np.uint8)
    for number, tile in enumerate(tiles):
        top, left = (number // columns) * height + _MARGIN, (number % columns) * width + _MARGIN
        enlarged = np.kron(tile, np.ones((scale, scale), dtype=np.uint8))
        sheet[top : top + enlarged.shape[0], left : left + enlarged.shape[1]] = greys[enlarged]
    return sheet
