"""Contact sheets: the first images of each class side by side, as PNG."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from microdesign.core.errors import InputError
from microdesign.core.files import replacing
from microdesign.core.pixels import Pixel
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.drawing import UNKNOWN, in_proportion, picture, png
from microdesign.microstructure.scale_bar import with_scale_bar

COLUMNS = 8
ROWS = 4
_MARGIN = 4
_PAPER = 255


def write_contact_sheets(
    batches: Iterable[Microstructures], folder: str | Path, columns: int = COLUMNS, rows: int = ROWS
) -> dict[str, Path]:
    """Writes `<class>.png` for each class with its first `columns * rows` images, drawn as by `drawing`.

    Below those whose pixels have a size with a unit is a scale bar.

    Returns:
        The file of each class.

    Raises:
        InputError: There are no images.
        StorageError: A file cannot be written.
    """
    wanted = columns * rows
    first: dict[str, list[NDArray[np.uint8]]] = {}
    n_phases, pixel = 1, UNKNOWN
    for batch in batches:
        n_phases, pixel = max(n_phases, batch.n_phases), Pixel.of(batch.physical)
        for name, image in zip(batch.classes, batch.labels, strict=True):
            images = first.setdefault(name or "unnamed", [])
            if len(images) < wanted:
                images.append(in_proportion(image, batch.aspect).copy())
    if not first:
        raise InputError("there are no images for a contact sheet; expected at least one.")
    files = {}
    for name, images in first.items():
        files[name] = Path(folder) / f"{name.replace('/', '_')}.png"
        with replacing(files[name]) as temporary:
            temporary.write_bytes(png(_sheet(images, columns, n_phases, pixel.shortest, pixel.unit)))
    return files


def _sheet(images: list[NDArray[np.uint8]], columns: int, n_phases: int, edge: float, unit: str) -> NDArray[np.uint8]:
    # Small images are enlarged by whole pixels, so that each pixel stays visible.
    scale = max(1, 128 // max(images[0].shape[:2]))
    tiles = [picture(image, n_phases, scale) for image in images]
    # The pictures of a volume belong together: more room around them, and a row holds fewer volumes.
    margin, columns = (_MARGIN, columns) if images[0].ndim == 2 else (4 * _MARGIN, max(1, columns // 4))
    height, width = (edge + margin for edge in tiles[0].shape)
    columns = min(columns, len(tiles))
    sheet = np.full((-(-len(tiles) // columns) * height + margin, columns * width + margin), _PAPER, dtype=np.uint8)
    for number, tile in enumerate(tiles):
        top, left = (number // columns) * height + margin, (number % columns) * width + margin
        sheet[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    return with_scale_bar(sheet, edge / scale, unit, columns=tiles[0].shape[1])
