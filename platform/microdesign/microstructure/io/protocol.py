"""What a format offers in order to be read or written: two small protocols, for formats of one's own too."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.io.options import NO_OPTIONS, ReadOptions
from microdesign.microstructure.io.summary import summarise

FIELDS = ("n_phases", "classes", "generation", "properties", "places", "periodic", "pixel_size")
"""The fields of `Microstructures` besides the labels, which a format stores or leaves out.

`pixel_size` stands for its unit and the aspect of the pixels too.
"""


class Reader(Protocol):
    """Reads one kind of file or folder.

    A reader of your own is a class of this kind in any module that Python can import; `MODULE:CLASS` then names it
    wherever a reader can be named, such as `microdesign data convert --reader MODULE:CLASS`:

        class TextReader(Reader):
            name = ".txt"

            def accepts(self, path: Path) -> bool:
                return path.suffix == ".txt"

            def read(self, path: Path, chunk: int | None, options: ReadOptions) -> Iterator[Microstructures]:
                yield Microstructures(labels=np.loadtxt(path, dtype=int)[None], n_phases=2)
    """

    name: str
    """What the format is called in messages."""
    takes: tuple[str, ...] = ()
    """The fields of `ReadOptions` that mean something for the format; others are refused before `read` is called."""

    def accepts(self, path: Path) -> bool:
        """Tells by the name, or by what lies in it, whether this reader is the one for the path."""
        ...

    def read(self, path: Path, chunk: int | None, options: ReadOptions) -> Iterator[Microstructures]:
        """Yields the images in order, at most `chunk` at a time; None leaves the number to the reader.

        Raises:
            InputError: The file is damaged or holds no images; the message names the path.
        """
        ...

    def describe(self, path: Path, options: ReadOptions = NO_OPTIONS) -> dict[str, Any]:
        """Returns what the file holds as JSON values, without loading it whole; by default `summarise` of its images.

        Raises:
            InputError: The file is damaged or holds no images.
        """
        return summarise(self.read(path, None, options))


class Writer(Protocol):
    """Writes one format. A writer of your own is named `MODULE:CLASS`, as a reader is."""

    suffixes: tuple[str, ...]
    """Suffixes that choose the format, in lower case; empty for folders."""
    stores: tuple[str, ...]
    """What the format stores besides the labels, out of `FIELDS`."""

    def write(self, path: Path, images: Iterable[Microstructures]) -> Path:
        """Writes batches of one shape, one number of phases and the same properties to `path`, which does not exist.

        Returns:
            What was made: `path`, or another file or folder beside it.

        Raises:
            InputError: The format cannot hold the images.
            OSError or StorageError: It cannot be written; what lies at `path` then is incomplete.
        """
        ...

    def left_out(self, batch: Microstructures) -> set[str]:
        """Returns what a batch holds that the format does not store: fields, and properties as `properties.NAME`.

        Fields at their defaults do not count. Nor does the number of phases, since whether it is lost shows only when
        all images of a source are known.
        """
        differs = {
            "classes": any(batch.classes),
            "generation": any(batch.generation),
            "places": any(batch.places),
            "periodic": not batch.periodic,
            "pixel_size": batch.pixel_size != 1 or bool(batch.aspect or batch.length_unit),
        }
        fields = {field for field, is_set in differs.items() if is_set and field not in self.stores}
        properties = set() if "properties" in self.stores else {f"properties.{name}" for name in batch.properties}
        return fields | properties
