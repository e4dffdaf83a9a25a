"""Where Ray Train keeps checkpoints: each file is complete or missing, and outlasts a power cut once it is there.

Ray Train copies a checkpoint's files, then rewrites the list of checkpoints in place, without syncing either: a power
cut could leave a list of empty checkpoints, and a kill in the middle half a list, from which no training goes on.
"""

import io
from typing import Any

from fsspec.implementations.local import LocalFileSystem
from pyarrow.fs import FSSpecHandler, PyFileSystem

from microdesign.core.files import make_folder, replacing


class _DurableFileSystem(LocalFileSystem):
    """The files of this machine; what is written and which folders are made is synced."""

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Makes a folder and those above it."""
        if not exist_ok and self.exists(path):
            raise FileExistsError(path)
        make_folder(self._strip_protocol(path))

    def mkdir(self, path: str, create_parents: bool = True, **options: Any) -> None:
        """Makes a folder."""
        self.makedirs(path)

    def _open(self, path: str, mode: str = "rb", block_size: int | None = None, **options: Any) -> Any:
        if mode == "wb":
            return _Output(self._strip_protocol(path))
        return super()._open(path, mode, block_size, **options)


class _Output(io.FileIO):
    """A file that is at its path once it is closed."""

    def __init__(self, path: str) -> None:
        self._replacing = replacing(path)
        super().__init__(self._replacing.__enter__(), "wb")

    def close(self) -> None:
        """Puts the file in its place."""
        if not self.closed:
            super().close()
            self._replacing.__exit__(None, None, None)


def durable_storage() -> PyFileSystem:
    """The file system of this machine for Ray Train's `storage_filesystem`."""
    return PyFileSystem(FSSpecHandler(_DurableFileSystem()))
