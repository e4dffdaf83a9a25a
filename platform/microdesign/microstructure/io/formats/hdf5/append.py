"""Writing HDF5 where the disk may be full: the library crashes the process when it cannot write its buffers."""

import os
from pathlib import Path
from types import TracebackType
from typing import Self


class Hdf5Sink:
    """A file for `h5py.File(sink, "w")` that records a failed write and does not raise it, so that HDF5 can close.

    After the first failure nothing more is written and what was not written reads as zeros: the file is incomplete.
    `check` has to be called after each step and once HDF5 has closed.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b", buffering=0)
        self._position = 0
        self._end = 0
        self.error: OSError | None = None

    def check(self) -> None:
        """Raises what went wrong so far.

        Raises:
            OSError: A write failed.
        """
        if self.error is not None:
            raise self.error

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Moves to a place; the end is that of what HDF5 believes to have written."""
        self._position = offset + (0, self._position, self._end)[whence]
        return self._position

    def tell(self) -> int:
        """Returns the place."""
        return self._position

    def write(self, data: bytes) -> int:
        """Writes all of the data, or records why that failed."""
        view = memoryview(data).cast("B")
        place = self._position
        self._position += len(view)
        self._end = max(self._end, self._position)
        size = len(view)
        try:
            while self.error is None and len(view):
                self._file.seek(place)
                written = self._file.write(view)
                place, view = place + written, view[written:]
        except OSError as error:
            self.error = error
        return size

    def readinto(self, buffer: bytearray) -> int:
        """Fills the whole buffer, with zeros where there is nothing."""
        view = memoryview(buffer).cast("B")
        self._file.seek(self._position)
        data = self._file.read(len(view)) or b""
        view[: len(data)] = data
        view[len(data) :] = bytes(len(view) - len(data))
        self._position += len(view)
        return len(view)

    def read(self, size: int) -> bytes:
        """Returns that many bytes, zeros where there is nothing; by this method h5py knows a file."""
        buffer = bytearray(size)
        self.readinto(buffer)
        return bytes(buffer)

    def truncate(self, size: int | None = None) -> int:
        """Sets the length."""
        self._end = self._position if size is None else size
        try:
            if self.error is None:
                self._file.truncate(self._end)
        except OSError as error:
            self.error = error
        return self._end

    def flush(self) -> None:
        """Does nothing: each write goes to the system at once."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
