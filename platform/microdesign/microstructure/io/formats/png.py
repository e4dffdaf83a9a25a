"""PNG pictures: every checksum is verified and the size known before anything is unpacked."""

import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from microdesign.core.budget import refuse_large
from microdesign.core.errors import InputError
from microdesign.microstructure.data.label_arrays import refuse_unsafe

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Numbers a pixel by the type of colour."""
_BLOCK = 2**20
_LIMIT = threading.Lock()


def read_png(path: Path) -> NDArray:
    """Returns a PNG picture as stored, `(Y, X)` or `(Y, X, C)`: grey values, colours, or the indices of a palette.

    Raises:
        InputError: The file is damaged, a pickle, or above the budget of `core.budget`.
    """
    refuse_unsafe(path, "a PNG picture")
    try:
        check_png(path)
        with without_pillow_limit(), Image.open(path) as picture:
            return np.asarray(picture)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path}: is no PNG picture, or truncated ({' '.join(str(error).split())}).") from None


def check_png(path: Path) -> None:
    """Compares the checksum of every chunk, which Pillow leaves out for the pixels, and the size to the budget.

    Raises:
        InputError: The picture takes more than the budget.
        ValueError: A checksum differs, or a chunk is missing.
    """
    with path.open("rb") as file:
        if file.read(len(_SIGNATURE)) != _SIGNATURE:
            raise ValueError("it does not begin as one")
        kind = b""
        while kind != b"IEND":
            head = file.read(8)
            if len(head) < 8:
                raise ValueError("it ends before its end")
            length, first = int.from_bytes(head[:4], "big"), kind == b""
            kind = head[4:]
            if first != (kind == b"IHDR"):
                raise ValueError("it does not begin with its size")
            checksum, rest = zlib.crc32(kind), length
            while rest > 0:
                block = file.read(min(rest, _BLOCK))
                if not block:
                    raise ValueError("it ends before its end")
                checksum, rest = zlib.crc32(block, checksum), rest - len(block)
                if first:
                    _check_size(block, path)
            if file.read(4) != checksum.to_bytes(4, "big"):
                raise ValueError(f"the checksum of a chunk {kind.decode('latin-1')} differs")


def _check_size(header: bytes, path: Path) -> None:
    width, height, bits, colours = struct.unpack(">IIBB", header[:10])
    # Pillow's picture and NumPy's copy of it; of colours Pillow keeps four bytes a pixel.
    samples = 4 if _SAMPLES.get(colours, 4) > 1 else 1
    refuse_large(2 * width * height * samples * (2 if bits > 8 else 1), str(path), f"a picture of {width} x {height}")


@contextmanager
def without_pillow_limit() -> Iterator[None]:
    """Lifts Pillow's own limit of some 179 million pixels for a block, where the budget has been asked instead."""
    with _LIMIT:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit
