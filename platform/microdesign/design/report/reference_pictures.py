"""Pictures of the image beside the candidates: all of it, and a part of it at the candidates' scale."""

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from microdesign.core.pixels import Pixel
from microdesign.design.report.export import data_uri, png_uri
from microdesign.microstructure.drawing import UNKNOWN, in_proportion, picture, png

WIDEST = 512
"""Pixels of the picture of a whole image: of a larger one blocks of pixels are averaged."""


def whole_picture(labels: NDArray[np.uint8], aspect: Sequence[float] = ()) -> str:
    """The picture of labels uint8 `(*N)` as a `data:` URI, at most `WIDEST` pixels or one a label."""
    labels = in_proportion(labels, aspect)
    step = -(-max(labels.shape) // WIDEST)
    grey = picture(labels, scale=1)
    if step == 1:
        return png_uri(png(np.kron(grey, np.ones((2, 2), np.uint8)) if 2 * max(labels.shape) <= WIDEST else grey))
    rows, columns = (n // step for n in grey.shape)
    blocks = grey[: rows * step, : columns * step].reshape(rows, step, columns, step)
    return png_uri(png(blocks.mean((1, 3)).round().astype(np.uint8)))


def part_picture(labels: NDArray[np.uint8], size: int, pixel: Pixel = UNKNOWN) -> str:
    """The picture of a window of `size` pixels as a `data:` URI, of that on a grid with the most usual fraction."""
    corners = product(*(range(0, max(1, n - size + 1), size) for n in labels.shape))
    windows = [labels[tuple(slice(start, start + size) for start in corner)] for corner in corners]
    away = [abs(float(window.mean()) - float(labels.mean())) for window in windows]
    return data_uri(windows[int(np.argmin(away))], pixel=pixel)
