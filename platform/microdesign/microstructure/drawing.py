"""How an image of phases looks, everywhere: x to the right, y up, phase 0 light and the highest phase dark.

Of a volume three orthogonal sections through its middle and its outside are drawn side by side.
"""

import base64
import html
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from microdesign.core.pixels import Pixel
from microdesign.microstructure.isometric import isometric
from microdesign.microstructure.scale_bar import with_scale_bar

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LIGHT, _DARK, _BETWEEN = 220, 30, 255
UNKNOWN = Pixel()
"""Squares or cubes of no known size."""
_LEAST_COLUMNS = 160
"""Columns of a picture with a scale bar in a figure."""


def greys(n_phases: int) -> NDArray[np.uint8]:
    """Grey value of each phase, `(n,)`; of at least two."""
    return np.linspace(_LIGHT, _DARK, max(n_phases, 2)).astype(np.uint8)


def picture(labels: NDArray[np.uint8], n_phases: int = 2, scale: int = 1) -> NDArray[np.uint8]:
    """Grey values, rows from the top, of labels `(X, Y)` or `(X, Y, Z)`; each pixel enlarged to `scale` x `scale`.

    The sections of a volume are, from the left, that across z (x to the right, y up), across y (x, z) and across x
    (y, z), with white between them, and beside them the volume in isometric projection (`isometric`).
    """
    tones = greys(max(n_phases, int(labels.max()) + 1))
    sections = [labels] if labels.ndim == 2 else [labels.take(labels.shape[axis] // 2, axis) for axis in (2, 1, 0)]
    # Rows of an array run downwards in a picture: transposed and flipped, x is to the right and y up.
    drawn = [tones[np.flipud(section.T)] for section in sections]
    if len(drawn) > 1:
        rows, gap = max(len(each) for each in drawn), max(1, labels.shape[0] // 16)
        widths = [(0, gap)] * (len(drawn) - 1) + [(0, 0)]
        drawn = [
            np.pad(each, ((rows - len(each), 0), width), constant_values=_BETWEEN)
            for each, width in zip(drawn, widths, strict=True)
        ]
    flat = np.kron(np.concatenate(drawn, axis=1), np.ones((scale, scale), dtype=np.uint8))
    if labels.ndim == 2:
        return flat
    # At the final size: a voxel of it is smaller than a pixel of the sections.
    outside = isometric(tones[labels], len(flat), _BETWEEN)
    gap = np.full((len(flat), scale * max(1, labels.shape[0] // 16)), _BETWEEN, dtype=np.uint8)
    return np.concatenate([flat, gap, outside], axis=1)


def in_proportion(labels: NDArray[np.uint8], aspect: Sequence[float] = ()) -> NDArray[np.uint8]:
    """Labels `(X, Y)` or `(X, Y, Z)` on squares or cubes of the shortest edge, the nearest pixel's for each.

    Example:
        >>> in_proportion(np.array([[0, 1]], np.uint8), (1.0, 2.0)).tolist()
        [[0, 0, 1, 1]]

    Args:
        labels: Phase labels.
        aspect: Edges of a pixel along each axis, or their ratios; empty for squares and cubes.
    """
    for axis, edge in enumerate(aspect):
        pixels = labels.shape[axis]
        drawn = max(1, round(pixels * edge / min(aspect)))
        labels = labels.take(((np.arange(drawn) + 0.5) * pixels / drawn).astype(int), axis)
    return labels


def png(grey: NDArray[np.uint8]) -> bytes:
    """The bytes of a PNG file of grey values `(rows, columns)`."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(grey)).save(buffer, format="png")
    return buffer.getvalue()


def html_picture(
    labels: NDArray[np.uint8],
    n_phases: int = 2,
    title: str = "",
    pixels: int = 96,
    pixel: Pixel = UNKNOWN,
) -> str:
    """An `<img>` of labels `(X, Y)` or `(X, Y, Z)` that needs no file, at least `pixels` wide, with a title below.

    Where the unit of the pixel size is known it has a scale bar.
    """
    labels = in_proportion(labels, pixel.aspect)
    scale = max(1, -(-pixels // max(labels.shape[:2])))
    grey = with_scale_bar(picture(labels, n_phases, scale), pixel.shortest / scale, pixel.unit)
    data = base64.b64encode(png(grey)).decode()
    text = f"<figcaption>{html.escape(title)}</figcaption>" if title else ""
    image = f'<img src="data:image/png;base64,{data}" alt="{html.escape(title)}">'
    return f'<figure style="display: inline-block; margin: 4px">{image}{text}</figure>'


def draw(
    axes: "Axes",
    labels: NDArray[np.uint8],
    n_phases: int = 2,
    title: str = "",
    pixel: Pixel = UNKNOWN,
) -> None:
    """Draws labels into axes of a figure, without ticks; where the unit of a pixel is known, with a scale bar."""
    labels = in_proportion(labels, pixel.aspect)
    scale = max(1, -(-_LEAST_COLUMNS // labels.shape[0])) if pixel.unit else 1  # the bar's text needs room
    grey = picture(labels, n_phases, scale)
    grey = with_scale_bar(grey, pixel.shortest / scale, pixel.unit, scale * labels.shape[0])
    axes.imshow(grey, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_axis_off()
    axes.set_title(title, fontsize=9)
