"""Atomic writing of files, locks of folders, JSON and digests.

A file is written beside its place, flushed, then renamed over it: a reader sees the old content or all of the new.
"""

import errno
import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from microdesign.core.budget import read_whole
from microdesign.core.errors import InputError, StorageError

_JSON_COPIES = 32
"""How many times its size a JSON text of short numbers takes as Python objects."""


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yields a temporary path in the folder of `path`; on success it becomes `path`, on failure nothing is left.

    The file gets the permissions that the umask leaves to new files.

    Raises:
        StorageError: The folder or the file cannot be written (no space, no permission).
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        make_folder(path.parent)
        temporary.touch(exist_ok=False)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror or error}).") from None
    try:
        yield temporary
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror or error}).") from None
    finally:
        temporary.unlink(missing_ok=True)


def user_cache() -> Path:
    """The folder of what this user's processes can make again: `microdesign` in XDG_CACHE_HOME, or in `~/.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "microdesign"


def sync(path: str | Path) -> None:
    """Has the system write a file's content, or the names in a folder, to the disk: what a power cut does not take.

    Raises:
        OSError: The disk does not take it; a file system that cannot sync folders is let pass.
    """
    place = os.open(path, os.O_RDONLY)
    try:
        os.fsync(place)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(place)


def sync_all(path: str | Path) -> None:
    """`sync` of a file, or of a folder with all that is in it, before it is renamed to its place."""
    for each in (*Path(path).rglob("*"), path):
        sync(each)


def make_folder(path: str | Path) -> None:
    """Makes a folder and those above it where they are missing, and syncs their names.

    Raises:
        OSError: It cannot be made.
    """
    path = Path(path)
    new = [each for each in (path, *path.parents) if not each.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for each in reversed(new):
        sync(each.parent)


def lock_folder(folder: str) -> IO[str] | None:
    """Locks a folder for this process until the file that is returned is closed, or the process ends in any way.

    Args:
        folder: The folder; it is made where it is missing. Of a URI there is no lock, and None is returned.

    Raises:
        InputError: It is locked already.
        StorageError: The folder cannot be written.
    """
    if "://" in folder:
        return None
    path = Path(folder) / ".lock"
    try:
        make_folder(path.parent)
        file = path.open("w")
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror or error}).") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise InputError(f"{folder}: is in use by another process, or open in this one; end that first.") from None
    except OSError as error:
        file.close()
        raise StorageError(f"{path}: cannot be locked ({error.strerror or error}).") from None
    return file


def write_text(path: str | Path, text: str) -> None:
    """Writes `text` to `path`, atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Writes `value` as indented JSON to `path`, atomically."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def read_json(path: str | Path) -> Any:
    """Reads a JSON file.

    Raises:
        InputError: The file is missing or no JSON.
    """
    data = read_whole(path, "a JSON file", copies=_JSON_COPIES)
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not valid JSON ({' '.join(str(error).split())}).") from None


def path_inside(folder: str | Path, name: str, stated_in: str) -> Path:
    """Returns the path of what a file names in its own folder; nothing elsewhere may be named, by links neither.

    Args:
        folder: The folder.
        name: As the file states it, such as `000001.png`.
        stated_in: Which file states it, for the message.

    Raises:
        InputError: The name leads out of the folder.

    Example:
        >>> path_inside("pictures", "../secret.png", "images.json")
        Traceback (most recent call last):
        ...
        microdesign.core.errors.InputError: pictures: images.json names '../secret.png', which lies outside the \
folder; expected a name in it.
    """
    path = Path(folder) / name
    try:
        inside = not Path(name).is_absolute() and path.resolve().is_relative_to(Path(folder).resolve())
    except (OSError, ValueError, RuntimeError):  # no path at all, or links in a circle
        inside = False
    if not inside:
        raise InputError(f"{folder}: {stated_in} names {name!r}, which lies outside the folder; expected a name in it.")
    return path


def digest(*parts: bytes | str) -> str:
    """Returns the SHA-256 of the parts, each preceded by its length, as 64 hexadecimal digits."""
    state = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        state.update(len(data).to_bytes(8, "little"))
        state.update(data)
    return state.hexdigest()


def digest_file(path: str | Path) -> str:
    """Returns `digest` of a file's content, without holding it."""
    state = hashlib.sha256()
    with Path(path).open("rb") as file:
        state.update(os.fstat(file.fileno()).st_size.to_bytes(8, "little"))
        while block := file.read(2**20):
            state.update(block)
    return state.hexdigest()


def digest_json(value: Any) -> str:
    """Returns the digest of a JSON value, independent of the order of keys."""
    return digest(json.dumps(value, sort_keys=True, separators=(",", ":")))
