"""The most memory that reading one thing may take: what a file or a body states is checked before it is allocated.

A few kilobytes can state, or unpack to, more bytes than any machine has. So each reader asks here first, from the
headers alone, and unpacks no further than it was stated. Sets of images are read in parts of some 64 MiB, so that the
budget bounds a single image, and a set only where all of it is asked for at once, or where it is far more than its
files: sparse files, and blocks that a file leaves out, are read as zeros without end.
"""

import lzma
import os
import re
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from microdesign.core.errors import InputError

BUDGET_VARIABLE = "MICRODESIGN_READ_BUDGET"
"""Environment variable that sets the budget: bytes, or with a unit such as `8GiB`."""
DEFAULT_BUDGET = 2 * 2**30
_UNITS = {"": 1, "b": 1, **{f"{letter}ib": 1024**power for power, letter in enumerate("kmgt", 1)}}
_SIZE = re.compile(r"\s*(\d{1,15}(?:\.\d{1,6})?)\s*([a-z]*)\s*", re.IGNORECASE)
_RATIOS = {"zlib": 1032, "lzma": 7100}
"""How many bytes a compression makes one of, at most."""
_BLOCK = 2**20


def read_budget() -> int:
    """Returns the most bytes that reading one image, or one file that is read whole, may allocate.

    2 GiB unless the environment variable `MICRODESIGN_READ_BUDGET` says otherwise. Raise it for volumes above some 1000
    voxels an axis; lower it for a service that reads the files of strangers.

    Raises:
        InputError: The variable holds no size.

    Example:
        >>> os.environ["MICRODESIGN_READ_BUDGET"] = "512MiB"
        >>> read_budget() // 2**20
        512
        >>> del os.environ["MICRODESIGN_READ_BUDGET"]
    """
    text = os.environ.get(BUDGET_VARIABLE, "")
    if not text.strip():
        return DEFAULT_BUDGET
    match = _SIZE.fullmatch(text)
    unit = _UNITS.get(match[2].lower().replace("gb", "gib").replace("mb", "mib")) if match else None
    if match is None or unit is None or float(match[1]) * unit < 1:
        raise InputError(f"{BUDGET_VARIABLE}={text}: expected a number of bytes such as 8GiB or 512MiB.")
    return int(float(match[1]) * unit)


def refuse_large(needed: int, source: str, what: str = "an image") -> None:
    """Refuses what needs more than the budget.

    Args:
        needed: Bytes.
        source: What the message names first.
        what: What takes the bytes.

    Raises:
        InputError: `needed` is above the budget.

    Example:
        >>> refuse_large(2**40, "rock.npz: 'labels'")
        Traceback (most recent call last):
        ...
        microdesign.core.errors.InputError: rock.npz: 'labels': an image takes 1024 GiB of memory; expected at most \
2 GiB, which MICRODESIGN_READ_BUDGET can raise.
    """
    budget = read_budget()
    if needed > budget:
        raise InputError(
            f"{source}: {what} takes {_shown(needed)} of memory; expected at most {_shown(budget)}, which "
            f"{BUDGET_VARIABLE} can raise."
        )


def refuse_inflated(size: int, path: str | Path) -> int:
    """Refuses images above the budget that are more than the usual compression could make of the files they are from.

    Args:
        size: Bytes that were read so far, more than the budget.
        path: The file, or the folder with all files.

    Returns:
        How many bytes these files may hold.

    Raises:
        InputError: They may hold fewer than were read.
    """
    stored = _bytes_on_disk(Path(path))
    most = stored * _RATIOS["zlib"]
    if size > most:
        raise InputError(
            f"{path}: its images take more than {_shown(read_budget())}, of {_shown(stored)} on disk; expected no more "
            f"of so little, or a larger {BUDGET_VARIABLE}."
        )
    return most


def _bytes_on_disk(path: Path) -> int:
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    stored = 0
    for each in files:
        status = each.stat()
        # Sparse files take fewer blocks than their size says; some file systems state no blocks at all.
        stored += min(status.st_size, status.st_blocks * 512 or status.st_size)
    return stored


def refuse_special(path: str | Path, expected: str) -> None:
    """Refuses a device, a pipe or a socket, which may have no end; what is missing is left to its reader.

    Raises:
        InputError: The path is one of these.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise InputError(f"{path}: is no regular file; expected {expected}.")


def read_whole(path: str | Path, expected: str, copies: int = 1) -> bytes:
    """Returns the content of a file within the budget.

    Args:
        path: The file.
        expected: What the file should be, for the message.
        copies: How many times its size the reader takes.

    Raises:
        InputError: It cannot be read, is no regular file, or is too large.
    """
    refuse_special(path, expected)
    try:
        with Path(path).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            refuse_large(size * copies, str(path), "the file")
            # No more than was stated, also where another process makes it longer.
            return file.read(size)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); expected {expected}.") from None


def inflate(data: bytes, most: int) -> bytes:
    """Unpacks zlib's format to at most `most` bytes.

    Raises:
        ValueError: The data are damaged, or there is more.
    """
    stream = zlib.decompressobj()
    try:
        unpacked = stream.decompress(data, most + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if len(unpacked) > most:
        raise ValueError(f"a block unpacks to more than the {most} bytes that are stated")
    if not stream.eof:
        raise ValueError("a block ends before its end")
    return unpacked


def could_unpack_above_budget(size: int, kind: Literal["zlib", "lzma"] = "zlib") -> bool:
    """Whether so many bytes of compressed data could unpack to more than the budget."""
    return size * _RATIOS[kind] > read_budget()


def refuse_bomb(packed: bytes, stated: int, source: str, kind: Literal["zlib", "lzma"] = "zlib") -> None:
    """Refuses data that unpack to far more than is stated, for decoders that know no bound.

    Only data that could unpack to more than the budget are looked at, block by block and without keeping them.

    Args:
        packed: Compressed data.
        stated: Bytes that it should unpack to.
        source: What the message names.
        kind: The compression.

    Raises:
        InputError: There is more.
    """
    if not could_unpack_above_budget(len(packed), kind):
        return
    found = 0
    try:
        for size in _unpacked_sizes(packed, kind):
            found += size
            if found > 2 * stated + _BLOCK:
                raise InputError(f"{source} unpacks to more than the {_shown(stated)} that it states.")
    except (zlib.error, lzma.LZMAError):
        return  # what is damaged is its decoder's to refuse


def _unpacked_sizes(packed: bytes, kind: str) -> Iterator[int]:
    if kind == "lzma":
        unpacker = lzma.LZMADecompressor()
        yield len(unpacker.decompress(packed, _BLOCK))
        while not unpacker.eof and not unpacker.needs_input:
            yield len(unpacker.decompress(b"", _BLOCK))
        return
    stream, rest = zlib.decompressobj(), packed
    while rest and not stream.eof:
        yield len(stream.decompress(rest, _BLOCK))
        rest = stream.unconsumed_tail


def _shown(size: int) -> str:
    for unit, letter in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if size >= unit:
            return f"{size / unit:.3g} {letter}" if size < 1000 * unit else f"{size / unit:.0f} {letter}"
    return f"{size} bytes"
