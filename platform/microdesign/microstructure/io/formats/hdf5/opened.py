"""Opening HDF5 files of strangers, and reading from them no more than fits.

HDF5 lets a file of a kilobyte name other files (external links, external storage, virtual data sets), state arrays of
terabytes, and pack blocks that unpack to gigabytes. The first are refused when a file is opened; sizes are compared to
the budget of `core.budget` before anything is read.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from microdesign.core.budget import could_unpack_above_budget, refuse_bomb, refuse_large
from microdesign.core.errors import InputError, MicrodesignError
from microdesign.microstructure.data.label_arrays import refuse_unsafe

_CHECKED = 16
"""Files that are remembered as checked, by their time and size: one is opened several times while it is read."""


def open_hdf5(path: str | Path) -> Any:
    """Opens an HDF5 file for reading.

    Raises:
        InputError: The file is missing, truncated, a pickle or no HDF5 file; or something in it lies in another file.
    """
    refuse_unsafe(path, "an HDF5 file")
    if not Path(path).is_file():
        raise InputError(f"{path}: does not exist; expected an HDF5 file.")
    try:
        status = Path(path).stat()
        file = h5py.File(path, "r")
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{path}: is no HDF5 file, or truncated ({' '.join(str(error).split())}).") from None
    try:
        with refusing_damage(str(path)):
            _refuse_other_files(str(path), status.st_mtime_ns, status.st_size, status.st_ino)
    except BaseException:
        file.close()
        raise
    return file


@contextmanager
def refusing_damage(source: str) -> Iterator[None]:
    """Turns what h5py raises for a damaged file, which is nearly every kind of error, into an `InputError`."""
    try:
        yield
    except (OSError, RuntimeError, ValueError, TypeError, KeyError, AttributeError, LookupError) as error:
        if isinstance(error, MicrodesignError):
            raise
        raise InputError(f"{source} is damaged ({' '.join(str(error).split())}).") from None


def read_stored(item: Any, source: str, where: Any = ()) -> NDArray:
    """Returns the numbers of a data set, or of a slice or index along its first axis.

    Raises:
        InputError: They are above the budget, or the data set is damaged.
    """
    with refusing_damage(source):
        shape: tuple[int, ...] = item.shape or ()
        rows = 1
        if isinstance(where, slice):
            rows, shape = len(range(*where.indices(shape[0]))), shape[1:]
        elif isinstance(where, int):
            shape = shape[1:]
        refuse_large(rows * math.prod(shape) * item.dtype.itemsize, source)
        return np.asarray(item[where])


@lru_cache(maxsize=_CHECKED)
def _refuse_other_files(path: str, _time: int, _size: int, _inode: int) -> None:
    with h5py.File(path, "r") as file:
        # By HDF5's own walks, which follow no link; nothing is raised within them, which h5py does not survive.
        links: list[str] = []
        names: list[bytes] = []

        def link(name: bytes, info: Any) -> None:
            if info.type not in (h5py.h5l.TYPE_HARD, h5py.h5l.TYPE_SOFT):
                links.append(_text(name))

        file.id.links.visit(link, info=True)
        if links:
            raise InputError(f"{path}: '{links[0]}' is a link to another file, which is not followed.")
        h5py.h5o.visit(file.id, names.append)
        for name in names:
            opened = h5py.h5o.open(file.id, name)
            if isinstance(opened, h5py.h5d.DatasetID):
                _refuse_unbounded(opened, f"{path}: '{_text(name)}'")


def _refuse_unbounded(data: Any, source: str) -> None:
    """Refuses numbers in other files, and blocks (HDF5's chunks) above the budget by their size or when unpacked."""
    made = data.get_create_plist()
    if made.get_external_count() or made.get_layout() == h5py.h5d.VIRTUAL:
        raise InputError(f"{source} has its numbers in another file; expected them in this one.")
    if made.get_layout() != h5py.h5d.CHUNKED:
        return
    stated = math.prod(made.get_chunk()) * data.dtype.itemsize
    refuse_large(stated, source, "a block of the file")
    filters = [made.get_filter(number)[0] for number in range(made.get_nfilters())]
    packings = filters.count(h5py.h5z.FILTER_DEFLATE)
    if packings > 1:
        raise InputError(f"{source} is compressed {packings} times; expected once.")
    if not packings:
        return
    long: list[tuple[int, ...]] = []

    def look(block: Any) -> None:
        # Most blocks could not unpack to more than the budget whatever they hold, and are not looked at.
        if could_unpack_above_budget(block.size):
            long.append(block.chunk_offset)

    data.chunk_iter(look)
    for place in long:
        refuse_bomb(data.read_direct_chunk(place)[1], stated, source)


def _text(name: bytes | str) -> str:
    return name.decode("utf-8", errors="replace") if isinstance(name, bytes) else name
