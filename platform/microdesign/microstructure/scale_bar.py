"""Scale bars: a round length below a picture of phases whose pixel size is known."""

import math
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from microdesign.core.units import shown_length

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

_PAPER, _INK = 255, 0
_LARGEST_SHARE = 0.4
"""Of the width of an image, what a bar takes at most; at least 0.16, for round lengths are a factor 2 or 2.5 apart."""


def bar_length(width: float) -> float:
    """Returns the largest of 1, 2 and 5 times a power of ten that is at most 0.4 of a width.

    Example:
        >>> bar_length(32), bar_length(100), bar_length(0.3)
        (10.0, 20.0, 0.1)
    """
    most = _LARGEST_SHARE * width
    power = 10.0 ** math.floor(math.log10(most) + 1e-9)
    factor = max(each for each in (1, 2, 5) if each * power <= most * (1 + 1e-9))
    return float(f"{factor * power:.3g}")


@cache
def _font(size: int) -> "FreeTypeFont":
    import matplotlib
    from PIL import ImageFont

    # Pillow's own font has no micro sign.
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size)


def with_scale_bar(grey: NDArray[np.uint8], edge: float, unit: str, columns: int | None = None) -> NDArray[np.uint8]:
    """Returns a picture with a strip below it that holds a bar and its length; as it is where the unit is not known.

    Args:
        grey: Grey values `(rows, columns)`, 0 black.
        edge: Length that one column of the picture is wide.
        unit: Its unit, such as `um`; empty where the size is not known.
        columns: Columns of one of several images in the picture, which the bar is to suit; None is all.
    """
    if not unit:
        return grey
    from PIL import Image, ImageDraw  # a tenth of a second, and numbers need no pictures

    width = grey.shape[1]
    length = bar_length(edge * (columns or width))
    bar = max(1, round(length / edge))
    size = int(np.clip(width / 12, 10, 18))
    font = _font(size)
    margin, thick = max(2, size // 4), max(2, size // 5)
    text = shown_length(length, unit)
    wide = math.ceil(font.getlength(text))
    beside = bar + wide + 3 * margin <= width
    strip = size + 2 * margin + (0 if beside else thick + margin)
    sheet = np.full((grey.shape[0] + strip, max(width, wide + 2 * margin)), _PAPER, np.uint8)
    sheet[: grey.shape[0], :width] = grey
    picture = Image.fromarray(sheet)
    pen = ImageDraw.Draw(picture)
    top = grey.shape[0] + (strip - thick) // 2 if beside else grey.shape[0] + margin
    pen.rectangle((margin, top, margin + bar - 1, top + thick - 1), fill=_INK)
    middle = grey.shape[0] + strip / 2 if beside else grey.shape[0] + 2 * margin + thick + size / 2
    pen.text((2 * margin + bar if beside else margin, middle), text, fill=_INK, font=font, anchor="lm")
    return np.asarray(picture)
