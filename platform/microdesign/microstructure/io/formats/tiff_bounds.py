"""Bounds of TIFF files, asked before tifffile reads on: endless directories, and strips that unpack to too much."""

import math
import os
import struct
from pathlib import Path
from typing import Any, Literal

import numpy as np

from microdesign.core.budget import could_unpack_above_budget, refuse_bomb, refuse_large
from microdesign.core.errors import InputError

_MOST_TAGS = 4096
_PACKINGS: dict[int, Literal["zlib", "lzma"]] = {8: "zlib", 32946: "zlib", 50013: "zlib", 34925: "lzma"}
"""The compressions whose decoders in tifffile know no bound, by TIFF's numbers."""


def refuse_endless(path: Path) -> None:
    """Follows the chain of the pages' directories once.

    Raises:
        InputError: A page follows itself, or a directory lies outside the file.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(16)
        order = {b"II": "<", b"MM": ">"}.get(head[:2])
        version = struct.unpack(f"{order}H", head[2:4])[0] if order and len(head) >= 8 else 0
        if version not in (42, 43) or (version == 43 and len(head) < 16):
            return  # tifffile says what it is
        big = version == 43
        count, entry, link = (f"{order}Q", 20, f"{order}Q") if big else (f"{order}H", 12, f"{order}I")
        offset = struct.unpack(link, head[8:16] if big else head[4:8])[0]
        seen: set[int] = set()
        while offset:
            if offset in seen:
                raise InputError(f"{path}: is damaged, page {len(seen)} leads back to an earlier one.")
            seen.add(offset)
            tags = _number(file, offset, count, size)
            end = offset + struct.calcsize(count) + entry * tags
            if tags > _MOST_TAGS:
                raise InputError(f"{path}: is damaged, page {len(seen) - 1} has {tags} tags.")
            offset = _number(file, end, link, size)
            if offset < 0:
                raise InputError(f"{path}: is damaged or truncated, the tags of page {len(seen) - 1} lie outside it.")


def refuse_packed(page: Any, source: str) -> None:
    """Compares what a page's strips or tiles unpack to with what they state.

    Raises:
        InputError: A tile is above the budget, or one unpacks to far more than is stated.
    """
    kept = page.keyframe
    height, width = (kept.tilelength, kept.tilewidth) if kept.is_tiled else (kept.rowsperstrip, kept.imagewidth)
    stated = math.prod((min(height, kept.imagelength) if not kept.is_tiled else height, width, kept.samplesperpixel))
    stated *= np.dtype(kept.dtype).itemsize
    refuse_large(stated, source, "a tile")
    packing = _PACKINGS.get(int(kept.compression))
    if packing is None:
        return
    file = page.parent.filehandle
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False):
        if could_unpack_above_budget(count, packing):
            file.seek(offset)
            refuse_bomb(file.read(count), stated, source, packing)


def _number(file: Any, offset: int, form: str, size: int) -> int:
    """The number at a place; -1 where that lies outside the file."""
    length = struct.calcsize(form)
    if offset + length > size:
        return -1
    file.seek(offset)
    return int(struct.unpack(form, file.read(length))[0])
