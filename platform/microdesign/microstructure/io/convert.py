"""From any format that can be read to any that can be written, as a stream; the result is whole or absent."""

import filecmp
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from microdesign.core.errors import InputError, MicrodesignError, StorageError
from microdesign.core.progress import Progress, silent
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.manifest import MANIFEST_FILE, read_manifest
from microdesign.microstructure.data.resampling import refuse_small, resize
from microdesign.microstructure.io.options import NO_OPTIONS, ReadOptions
from microdesign.microstructure.io.readers import read_images
from microdesign.microstructure.io.writers import WRITERS, find_format, lost_fields


def convert(
    source: str | Path,
    out: str | Path,
    to: str | None = None,
    options: ReadOptions = NO_OPTIONS,
    progress: Progress = silent,
    size: int | None = None,
) -> dict[str, Any]:
    """Converts a file or folder of images; holds some hundred MiB whatever the size of the source.

    The result is written beside its place and renamed when it is whole. What is there already is never replaced: the
    same content counts as done, other content is refused.

    Args:
        source: Any file or folder that `read_images` reads.
        out: The file or folder to make.
        to: Name of the format, a key of `WRITERS`; None goes by the suffix of `out`, without one a data set folder.
        options: What the source does not say itself.
        progress: Takes the number of images after each batch.
        size: Pixels along each axis to average down to, see `resize`; None leaves the images as they are.

    Returns:
        `from`, `to`, `format`, `images`, `shape`, `phases`, `unchanged` (the same was there already) and `left_out`
        (what the source says that the result does not: fields, properties as `properties.NAME`, and of a data
        set its units and materials).

    Raises:
        InputError: The source or an option is not valid, its images differ in shape, phases or properties, the format
            is not known or cannot hold them, the size does not suit them, or other content is at `out`.
        StorageError: The result cannot be written.
    """
    out = Path(out)
    name = find_format(out, to)
    if size is not None:
        refuse_small(size)
    seen = _Seen(name, progress, size)
    images = read_images(source, options=options)
    with _staged(out) as folder:
        made = WRITERS[name].write(folder / out.name, seen.checked(images, source))
        final = out.parent / made.name
        unchanged = final.exists() and not _is_empty_folder(final)
        if unchanged and not _same(made, final):
            raise InputError(f"{final}: is there already with other content; remove it or name another place.")
        if not unchanged:
            _flush(made)
            if final.is_dir():
                final.rmdir()
            made.rename(final)
    seen.report(final=True)
    if (Path(source) / MANIFEST_FILE).is_file():
        manifest = read_manifest(source)
        seen.lost |= {"units"} if any(manifest.properties.values()) else set()
        seen.lost |= {"materials"} if manifest.materials else set()
    return {
        "from": str(source),
        "to": str(final),
        "format": name,
        "images": seen.count,
        "shape": list(seen.shape),
        "phases": seen.first.n_phases if seen.first is not None else 0,
        "unchanged": unchanged,
        "left_out": sorted(seen.lost),
    }


class _Seen:
    """Watches the stream: counts, checks that batches agree, resizes, notes what is lost, reports."""

    def __init__(self, name: str, progress: Progress, size: int | None) -> None:
        self.name = name
        self.progress = progress
        self.size = size
        self.shape: tuple[int, ...] = ()
        self.count = 0
        self.first: Microstructures | None = None
        self.lost: set[str] = set()
        self._largest = 0

    def checked(self, images: Iterator[Microstructures], source: str | Path) -> Iterator[Microstructures]:
        for batch in images:
            if self.first is None:
                self.first = batch.select(slice(0, 0))
            for what in ("shape", "n_phases"):
                mine, other = getattr(self.first, what), getattr(batch, what)
                if mine != other:
                    raise InputError(f"{source}: from image {self.count} on, {what} is {other}; expected {mine}.")
            if set(batch.properties) != set(self.first.properties):
                raise InputError(
                    f"{source}: from image {self.count} on, the properties are {sorted(batch.properties)}; "
                    f"expected {sorted(self.first.properties)}."
                )
            self.lost |= lost_fields(self.name, batch)
            batch = self._resized(batch, source)
            self.shape = batch.shape
            self._largest = max(self._largest, int(batch.labels.max(initial=0)))
            yield batch
            self.count += len(batch)
            self.report()
        if self.first is None:
            raise InputError(f"{source}: holds no images; expected at least one.")
        # A phase that no pixel has is known only where the number of phases is written down.
        if "n_phases" not in WRITERS[self.name].keeps and self.first.n_phases > self._largest + 1:
            self.lost.add("n_phases")

    def _resized(self, batch: Microstructures, source: str | Path) -> Microstructures:
        if self.size is None:
            return batch
        try:
            resized = resize(batch, self.size)
        except InputError as error:
            raise InputError(f"{source}: {error}") from None
        self.lost |= {f"properties.{key}" for key in batch.properties.keys() - resized.properties.keys()}
        return resized

    def report(self, final: bool = False) -> None:
        self.progress.count(self.count, self.count if final else None, "images converted")


@contextmanager
def _staged(out: Path) -> Iterator[Path]:
    """Yields a folder beside `out`; whatever happens, nothing of it is left."""
    folder = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
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
        # HDF5 has its own way to say that the disk is full, when it closes a file.
        raise StorageError(f"{out}: cannot be written ({' '.join(str(error).split())}).") from None
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _flush(made: Path) -> None:
    for path in made.rglob("*") if made.is_dir() else [made]:
        if path.is_file():
            with path.open("rb+") as file:
                os.fsync(file.fileno())


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
