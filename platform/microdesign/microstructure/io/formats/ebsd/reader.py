"""Reading EBSD scans: their phases as images, their orientations for polycrystals."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from microdesign.core.errors import InputError
from microdesign.core.units import pixel_fields
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.label_arrays import refuse_unsafe
from microdesign.microstructure.io.formats.ebsd.ang import read_ang
from microdesign.microstructure.io.formats.ebsd.ctf import read_ctf
from microdesign.microstructure.io.formats.ebsd.h5oina import read_h5oina
from microdesign.microstructure.io.formats.ebsd.scan import EbsdScan
from microdesign.microstructure.io.formats.raw import RawImages, batches
from microdesign.microstructure.io.options import NO_OPTIONS, ReadOptions
from microdesign.microstructure.io.protocol import Reader

_PARSERS: dict[str, Callable[[Path], EbsdScan]] = {".ang": read_ang, ".ctf": read_ctf, ".h5oina": read_h5oina}
UNIT = "um"
"""Unit of the steps of all these files."""


class EbsdReader(Reader):
    """Reads the phases of a scan as an image `(X, Y)`, not periodic: x to the right of the map, y down.

    The label is the number of the phase less 1; where points are not indexed, these are label 0 and the label is the
    number of the phase. Orientations are read by `read_scan`, and by `microdesign data grains`.
    """

    name = ".ang, .ctf, .h5oina (EBSD)"
    takes = ("array", "n_phases", "values")

    def accepts(self, path: Path) -> bool:
        """Accepts the suffixes `.ang`, `.ctf` and `.h5oina`."""
        return path.is_file() and path.suffix.lower() in _PARSERS

    def read(
        self, path: Path, chunk: int | None = None, options: ReadOptions = NO_OPTIONS
    ) -> Iterator[Microstructures]:
        """Yields the image of the phases.

        Raises:
            InputError: The file is damaged, its grid is hexagonal, or it holds several maps.
        """
        yield from _phases(read_scan(path, options.array), options)

    def describe(self, path: Path, options: ReadOptions = NO_OPTIONS) -> dict[str, Any]:
        """Summarises the image, and lists the phases of the scan with their labels, Laue groups and shares."""
        scan = read_scan(path, options.array)
        (batch,) = _phases(scan, options)
        first = batch.n_phases - len(scan.phases)
        phases = {
            phase.name: {
                "label": first + number,
                "laue_group": phase.laue,
                "share": float((scan.phase == number + 1).mean()),
            }
            for number, phase in enumerate(scan.phases)
        }
        summary = super().describe(path, options)
        return summary | {"indexed": scan.indexed, "phases_of_the_scan": phases}


def read_scan(path: str | Path, array: str | None = None) -> EbsdScan:
    """Reads phases, orientations and steps of an EBSD scan.

    Args:
        path: An `.ang`, `.ctf` or `.h5oina` file.
        array: Number of the acquisition of an `.h5oina` file that holds several.

    Raises:
        InputError: The file is missing, damaged or of another kind, or its grid is hexagonal.
    """
    path = Path(path)
    parser = _PARSERS.get(path.suffix.lower())
    if parser is None or not path.is_file():
        raise InputError(f"{path}: is no EBSD scan; expected an .ang, .ctf or .h5oina file.")
    refuse_unsafe(path, "an EBSD scan")
    if parser is read_h5oina:
        return read_h5oina(path, array)
    ReadOptions(array=array).refuse_others((), path, f"a {path.suffix} file")
    try:
        return parser(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}).") from None


def _phases(scan: EbsdScan, options: ReadOptions) -> Iterator[Microstructures]:
    raw = RawImages(
        chunks=lambda: iter([scan.phase[None]]),
        source=scan.source,
        counts_from_one=True,
        n_phases=len(scan.phases) + int(scan.indexed < 1),
        periodic=False,
        **pixel_fields(scan.spacing, UNIT),
    )
    yield from batches(raw, options)
