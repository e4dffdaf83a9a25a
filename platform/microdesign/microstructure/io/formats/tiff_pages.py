"""The pages of a TIFF file as its own tags describe them: axes, byte order, planes, what is black."""

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from microdesign.core.budget import refuse_large
from microdesign.core.errors import InputError
from microdesign.microstructure.data.label_arrays import refuse_unsafe
from microdesign.microstructure.io.formats.png import without_pillow_limit
from microdesign.microstructure.io.formats.tiff_bounds import refuse_endless, refuse_packed
from microdesign.microstructure.io.options import ImagesOrVolumesError

# It logs what is odd in a file on standard error, where a sentence of ours says what matters.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

_OWN_DECODERS = (1, 8, 32946)
"""Compressions that tifffile decodes by itself, by their numbers: none and deflate."""
_PAGE_AXES = ("YX", "YXS", "SYX")
"""Rows and columns, with the samples of a pixel side by side or as planes."""


class TiffPages:
    """An open TIFF file as pages in the order of its axes, such as T x Z x C of an ImageJ hyperstack.

    Attributes:
        axes: Letters of the axes in front of Y and X, empty for one page: T time, Z slices, C channels, I or Q pages
            that the file does not name.
        lengths: Their lengths.
        size: Rows and columns of a page, `(Y, X)`.
        dtype: Number type of a page.
        black: The number that stands for black where the file says that 0 is white; else None.

    Raises:
        InputError: The file is missing, damaged, a pickle, or its pages differ in size or make several series.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        refuse_unsafe(path, "a TIFF file")
        try:
            refuse_endless(path)
            # Not in several files: OME's names of other files would be followed wherever they lead.
            self.file = tifffile.TiffFile(path, _multifile=False)
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"{path}: is no TIFF file, or truncated ({' '.join(str(error).split())}).") from None
        try:
            self._describe()
        except InputError:
            self.file.close()
            raise
        except Exception as error:
            self.file.close()
            raise InputError(f"{path}: is damaged or truncated ({' '.join(str(error).split())}).") from None

    def _describe(self) -> None:
        # Not by list(), which asks for the number of pages and then passes over what is cut off.
        pages = [(page.axes, page.shape, _photometric(page)) for page in self.file.pages]
        key = self.file.pages.first
        if not pages or key.dtype is None:
            raise InputError(f"{self.path}: holds no pages; expected at least one picture.")
        if key.axes not in _PAGE_AXES:
            raise InputError(f"{self.path}: has pages of axes {key.axes}; expected rows and columns (YX).")
        self.size = _size(key.axes, key.shape)
        self.dtype = np.dtype(key.dtype)
        refuse_large(math.prod(key.shape) * self.dtype.itemsize, str(self.path), "a page")
        self.black = 2**key.bitspersample - 1 if _photometric(key) == "MINISWHITE" else None
        for number, (axes, shape, photometric) in enumerate(pages):
            if _size(axes, shape) != self.size:
                shown = " x ".join(map(str, reversed(_size(axes, shape))))
                expected = " x ".join(map(str, reversed(self.size)))
                raise InputError(f"{self.path}: page {number} has {shown} pixels; expected {expected}.")
            if photometric != pages[0][2]:
                raise InputError(f"{self.path}: page {number} is {photometric}; expected {pages[0][2]}, as page 0.")
        series = self.file.series
        self._series = series[0] if len(series) == 1 else None
        self.lengths: tuple[int, ...] = (len(pages),)
        if self._series is None:
            self._refuse_series(series)
            self.axes = "I"
        else:
            self.axes = self._series.axes.removesuffix(key.axes)
            self.lengths = self._series.shape[: len(self.axes)]
            if len(self) < len(pages):
                raise InputError(
                    f"{self.path}: holds {len(pages)} pages, not the {len(self)} it states; is it truncated?"
                )

    def _refuse_series(self, series: Sequence[Any]) -> None:
        """Several series are pages of one stack only where nothing calls them otherwise."""
        named = [each for each in series if each.kind not in ("shaped", "generic", "uniform")]
        if named or any(len(each.axes.strip("S")) > 2 for each in series):
            raise InputError(
                f"{self.path}: holds {len(series)} series of pages ("
                f"{'; '.join(f'{each.axes} {each.shape}' for each in series[:5])}); save the one of the labels alone."
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.close()

    def __len__(self) -> int:
        return math.prod(self.lengths)

    @property
    def description(self) -> str:
        """The text of the first page."""
        return str(self.file.pages.first.description)

    def read(self, number: int) -> NDArray:
        """Returns a page as stored, `(Y, X)`.

        Raises:
            InputError: The page is damaged or in colours.
        """
        source = f"{self.path}, page {number}"
        if len(self) > len(self.file.pages):
            return self._behind_the_first(number)
        page = self.file.pages[number] if self._series is None else self._series[number]
        if page is None:
            raise InputError(f"{source}: is missing.")
        try:
            refuse_packed(page, source)
            array = page.asarray()
        except InputError:
            raise
        except Exception as error:
            array = self._by_pillow(page.index, error)
        return single_channel(np.moveaxis(array, 0, -1) if page.axes == "SYX" and array.ndim == 3 else array, source)

    def _behind_the_first(self, number: int) -> NDArray:
        # ImageJ keeps stacks above 4 GB, and tifffile arrays, behind the directory of their first page.
        offset = None if self._series is None else self._series.dataoffset
        if offset is None or self.file.pages.first.axes != "YX":
            raise InputError(f"{self.path}: holds {len(self.file.pages)} pages; expected {len(self)} by its axes.")
        dtype = self.dtype.newbyteorder(self.file.byteorder)
        place = offset + number * math.prod(self.size) * dtype.itemsize
        page = np.fromfile(self.path, dtype, math.prod(self.size), offset=place)
        if page.size < math.prod(self.size):
            raise InputError(f"{self.path}: page {number} cannot be decoded, the file is truncated.")
        return page.reshape(self.size)

    def _by_pillow(self, number: int, why: Exception) -> NDArray:
        # tifffile alone knows no LZW and no fax compression; Pillow does. It writes on standard error what is damaged.
        page: Any = self.file.pages[number].keyframe  # tifffile's types allow None, its pages have one
        try:
            if page.compression in _OWN_DECODERS and page.bitspersample % 8 == 0:
                raise ValueError
            with without_pillow_limit(), Image.open(self.path) as picture:
                picture.seek(number)
                if picture.size != self.size[::-1]:
                    raise ValueError("Pillow reads another size")
                array = np.asarray(picture)
        except Exception:
            raise InputError(
                f"{self.path}: page {number} cannot be decoded, it is damaged or truncated "
                f"({' '.join(str(why).split())})."
            ) from None
        # Pillow turns what is stored with white as 0, up to 8 bits.
        if self.black is None or self.black > 255:
            return array
        return ~array if array.dtype == bool else (self.black - array).astype(array.dtype)


def single_channel(array: NDArray, source: str) -> NDArray:
    """Returns `(Y, X)` of a picture; `(Y, X, C)` is taken when its colours are one grey and it is opaque.

    Raises:
        InputError: The picture has colours or transparent parts.
    """
    if array.ndim == 2:
        return array
    if array.ndim != 3 or array.shape[2] not in (1, 2, 3, 4):
        raise InputError(f"{source}: has shape {array.shape}; expected one picture of rows and columns.")
    colours = array[..., : 1 if array.shape[2] <= 2 else 3]
    opacity = array[..., colours.shape[2] :]
    if (colours != colours[..., :1]).any() or (opacity.size and (opacity != opacity.flat[0]).any()):
        raise InputError(f"{source}: is in colours; expected one number a pixel, the label of its phase.")
    return array[..., 0]


def page_order(
    axes: str, lengths: tuple[int, ...], dims: int | None, channel: str | None, source: str
) -> NDArray[np.int64]:
    """Returns the numbers of the pages, `(n,)` for images or `(n, Z)` for volumes.

    Args:
        axes: Letters of the axes of the pages, as of `TiffPages`.
        lengths: Their lengths.
        dims: 2 makes each page an image; 3 makes slices of the axis Z, else of the last one, a volume; None follows the
            file: volumes where it names Z.
        channel: Number of the channel to take where there are several, as text.
        source: What the message names.

    Raises:
        InputError: There are several channels and none is chosen, or it is not clear what a volume is.

    Example:
        >>> page_order("TZ", (2, 3), None, None, "a.tif").tolist()
        [[0, 1, 2], [3, 4, 5]]
    """
    pages: NDArray[np.int64] = np.arange(math.prod(lengths)).reshape(lengths)
    if "C" in axes:
        count = lengths[axes.index("C")]
        if channel is None:
            raise InputError(
                f"{source}: has {count} channels ({_named(axes, lengths)}); name one by --array 0 to {count - 1}."
            )
        if not channel.isdecimal() or int(channel) >= count:
            raise InputError(f"{source}: has no channel '{channel}'; expected --array 0 to {count - 1}.")
        pages = np.take(pages, np.int64(channel), axis=axes.index("C"))
        axes, lengths = axes.replace("C", ""), pages.shape
    elif channel is not None:
        raise InputError(f"{source}: --array {channel} has no meaning for a file of one channel; leave it out.")
    if dims is None and len(axes) > 1 and "Z" not in axes:
        depth = lengths[-1]
        raise ImagesOrVolumesError(
            f"{source}: has pages of several axes ({_named(axes, lengths)}): give --dims 2 for {pages.size} images, or "
            f"--dims 3 for {pages.size // depth} volumes of {depth} slices."
        )
    if dims == 2 or (dims is None and "Z" not in axes):
        return pages.ravel()
    along = axes.index("Z") if "Z" in axes else len(axes) - 1
    if not axes:
        return pages.reshape(1, 1)
    return np.moveaxis(pages, along, -1).reshape(-1, lengths[along])


def _named(axes: str, lengths: tuple[int, ...]) -> str:
    return " x ".join(f"{axis} {length}" for axis, length in zip(axes, lengths, strict=True))


def _photometric(page: Any) -> str:
    """What the numbers of a page mean, such as MINISBLACK; of a frame, what those of its key page do."""
    tag = getattr(page, "photometric", None)
    if tag is None:
        tag = page.keyframe.photometric
    return str(getattr(tag, "name", tag))


def _size(axes: str, shape: tuple[int, ...]) -> tuple[int, int]:
    return shape[axes.index("Y")], shape[axes.index("X")]
