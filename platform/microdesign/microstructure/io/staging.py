"""Results of writers: made beside their place and renamed when complete; what is there is never replaced."""

import filecmp
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from microdesign.core.errors import InputError, MicrodesignError, StorageError
from microdesign.core.files import make_folder, sync, sync_all
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.io.protocol import Writer


def write_staged(writer: Writer, out: Path, images: Iterable[Microstructures]) -> tuple[Path, bool]:
    """Writes images by a writer; whatever happens, the result is complete or absent.

    Returns:
        What was made, `out` or a file or folder beside it; and whether the same was there already.

    Raises:
        InputError: The format cannot hold the images, or other content is there.
        StorageError: The result cannot be written.
    """
    with staged(out) as folder:
        made = writer.write(folder / out.name, images)
        final = out.parent / made.name
        (unchanged,) = settle([(made, final)])
    return final, unchanged


def settle(results: Sequence[tuple[Path, Path]]) -> list[bool]:
    """Moves files or folders to their places; where one is taken by other content, none is moved.

    Args:
        results: Of each, where it was made and where it goes.

    Returns:
        Whether the same was there already, of each.

    Raises:
        InputError: Other content is there.
    """
    there = [final.exists() and not _is_empty_folder(final) for _, final in results]
    for (made, final), taken in zip(results, there, strict=True):
        if taken and not _same(made, final):
            raise InputError(f"{final}: is there already with other content; remove it or name another place.")
    for (made, final), taken in zip(results, there, strict=True):
        if taken:
            continue
        sync_all(made)
        if final.is_dir():
            final.rmdir()
        make_folder(final.parent)
        made.rename(final)
        sync(final.parent)
    return there


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """Yields a folder beside `out` to make results in; whatever happens, nothing of it is left."""
    folder = None
    try:
        make_folder(out.parent)
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
        yield folder
    except StorageError as error:
        # The user's place is `out`, not the folder beside it.
        raise StorageError(str(error).replace(f"{folder}{os.sep}", f"{out.parent}{os.sep}")) from None
    except InputError as error:
        raise InputError(str(error).replace(f"{folder}{os.sep}", f"{out.parent}{os.sep}")) from None
    except MicrodesignError:
        raise
    except OSError as error:
        raise StorageError(f"{out}: cannot be written ({error.strerror or error}).") from None
    except RuntimeError as error:
        if type(error) is not RuntimeError:
            raise
        # What HDF5 raises when the disk is full as it closes a file.
        raise StorageError(f"{out}: cannot be written ({' '.join(str(error).split())}).") from None
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _same(made: Path, there: Path) -> bool:
    """Compares two files, or two folders with all that is in them, byte by byte."""
    if made.is_dir() != there.is_dir():
        return False
    if made.is_file():
        return filecmp.cmp(made, there, shallow=False)
    files = [{path.relative_to(top): path for path in top.rglob("*") if path.is_file()} for top in (made, there)]
    return files[0].keys() == files[1].keys() and all(
        filecmp.cmp(files[0][name], files[1][name], shallow=False) for name in files[0]
    )


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())
