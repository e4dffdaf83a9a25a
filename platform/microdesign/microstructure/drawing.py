"""How an image of phases looks, everywhere: x to the right, y up, phase 0 light and the highest phase dark.

Of a volume the section at z = 0 is drawn.
"""

import base64
import html
import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from microdesign.microstructure.scale_bar import with_scale_bar

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LIGHT, _DARK = 220, 30


def picture(labels: NDArray[np.uint8], n_phases: int = 2, scale: int = 1) -> NDArray[np.uint8]:
    """Grey values, rows from the top, of labels `(X, Y)` or `(X, Y, Z)`; each pixel enlarged to `scale` x `scale`."""
    section = labels if labels.ndim == 2 else labels[..., 0]
    greys = np.linspace(_LIGHT, _DARK, max(n_phases, 2, int(section.max()) + 1)).astype(np.uint8)
    # Rows of an array run downwards in a picture: transposed and flipped, x is to the right and y up.
    return np.kron(greys[np.flipud(section.T)], np.ones((scale, scale), dtype=np.uint8))


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
    pixel_size: float = 1.0,
    length_unit: str = "",
) -> str:
    """An `<img>` of labels `(X, Y)` or `(X, Y, Z)` that needs no file, at least `pixels` wide, with a title below.

    Where the unit of the pixel size is known it has a scale bar.
    """
    scale = max(1, -(-pixels // max(labels.shape[:2])))
    grey = with_scale_bar(picture(labels, n_phases, scale), pixel_size / scale, length_unit)
    data = base64.b64encode(png(grey)).decode()
    text = f"<figcaption>{html.escape(title)}</figcaption>" if title else ""
    image = f'<img src="data:image/png;base64,{data}" alt="{html.escape(title)}">'
    return f'<figure style="display: inline-block; margin: 4px">{image}{text}</figure>'


def draw(axes: "Axes", labels: NDArray[np.uint8], n_phases: int = 2, title: str = "") -> None:
    """Draws labels into axes of a figure, without ticks."""
    axes.imshow(picture(labels, n_phases), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_axis_off()
    axes.set_title(title, fontsize=9)
