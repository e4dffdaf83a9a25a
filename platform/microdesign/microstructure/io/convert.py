"""From any format that can be read to any that can be written, as a stream; the result is complete or absent."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from microdesign.core.errors import InputError
from microdesign.core.progress import Progress, silent
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.manifest import MANIFEST_FILE, read_manifest
from microdesign.microstructure.data.resampling import refuse_small, resize
from microdesign.microstructure.io.options import NO_OPTIONS, ReadOptions
from microdesign.microstructure.io.protocol import Writer
from microdesign.microstructure.io.readers import read_images
from microdesign.microstructure.io.staging import write_staged
from microdesign.microstructure.io.writers import find_writer


def convert(
    source: str | Path,
    out: str | Path,
    to: str | None = None,
    options: ReadOptions = NO_OPTIONS,
    progress: Progress = silent,
    resize_to: int | None = None,
    reader: str | None = None,
) -> dict[str, Any]:
    """Converts a file or folder of images; takes a few hundred MiB of memory whatever the size of the source.

    The result is written beside its place and renamed when it is complete. What is there already is never replaced: the
    same content counts as done, other content is refused.

    Example:
        >>> from microdesign.microstructure.generators.registry import generate
        >>> from microdesign.microstructure.io.writers import write
        >>> done = convert(write("noise.npz", generate("GRF", 4)), "noise.tif")
        >>> done["images"], done["left_out"]
        (4, ['classes'])

    Args:
        source: Any file or folder that `read_images` reads.
        out: The file or folder to make.
        to: Name of the format, a key of `WRITERS`, or `MODULE:CLASS` of a writer of your own; None goes by the suffix
            of `out`, without one a data set folder.
        options: What the source does not state itself.
        progress: Takes the number of images after each batch.
        resize_to: Pixels along each axis that each image is resampled to, see `resize`; None leaves the images as they
            are. To cut large images into small ones instead, see `windows`.
        reader: A key of `READERS`, or `MODULE:CLASS` of a reader of your own; None chooses by the source.

    Returns:
        `from`, `to`, `format`, `images`, `shape`, `phases`, `unchanged` (the same was there already) and `left_out`
        (what the source holds and the result does not: fields, properties as `properties.NAME`, and of a data
        set its units and materials).

    Raises:
        InputError: The source or an option is not valid, its images differ in shape, phases or properties, the format
            is not known or cannot hold them, the size does not suit them, or other content is at `out`.
        StorageError: The result cannot be written.
    """
    out = Path(out)
    name, writer = find_writer(out, to)
    if resize_to is not None:
        refuse_small(resize_to)
    stream = _Stream(writer, progress, resize_to)
    images = read_images(source, options=options, reader=reader)
    final, unchanged = write_staged(writer, out, stream.checked(images, source))
    stream.report(final=True)
    if (Path(source) / MANIFEST_FILE).is_file():
        manifest = read_manifest(source)
        stream.left_out |= {"units"} if any(manifest.properties.values()) else set()
        stream.left_out |= {"materials"} if manifest.materials else set()
    return {
        "from": str(source),
        "to": str(final),
        "format": name,
        "images": stream.count,
        "shape": list(stream.shape),
        "phases": stream.first.n_phases if stream.first is not None else 0,
        "unchanged": unchanged,
        "left_out": sorted(stream.left_out),
    }


class _Stream:
    """Passes batches on: counts them, checks that they agree, resizes, records what is left out, reports progress."""

    def __init__(self, writer: Writer, progress: Progress, size: int | None) -> None:
        self.writer = writer
        self.progress = progress
        self.size = size
        self.shape: tuple[int, ...] = ()
        self.count = 0
        self.first: Microstructures | None = None
        self.left_out: set[str] = set()
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
            self.left_out |= self.writer.left_out(batch)
            batch = self._resized(batch, source)
            self.shape = batch.shape
            self._largest = max(self._largest, int(batch.labels.max(initial=0)))
            yield batch
            self.count += len(batch)
            self.report()
        if self.first is None:
            raise InputError(f"{source}: holds no images; expected at least one.")
        # A phase that no pixel has is known only where the number of phases is written down.
        if "n_phases" not in self.writer.stores and self.first.n_phases > self._largest + 1:
            self.left_out.add("n_phases")

    def _resized(self, batch: Microstructures, source: str | Path) -> Microstructures:
        if self.size is None:
            return batch
        try:
            resized = resize(batch, self.size)
        except InputError as error:
            raise InputError(f"{source}: {error}") from None
        self.left_out |= {f"properties.{key}" for key in batch.properties.keys() - resized.properties.keys()}
        return resized

    def report(self, final: bool = False) -> None:
        self.progress.count(self.count, self.count if final else None, "images converted")
