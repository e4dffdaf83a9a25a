"""The public function `export`: microstructures to the files of another program."""

from pathlib import Path

from microdesign.core.errors import InputError
from microdesign.export.protocol import Exported, ExportOptions
from microdesign.export.registry import load_exporter
from microdesign.export.samples import Candidates, samples_of
from microdesign.microstructure.io.options import ReadOptions
from microdesign.microstructure.io.staging import settle, staged
from microdesign.physics.effective_properties import Phases, phases_from


def export(
    candidates: Candidates,
    to: str,
    out: str | Path = "exported",
    materials: Phases | None = None,
    *,
    phase: int | None = None,
    smooth: float | None = None,
    dims: int | None = None,
    pixel_size: str | None = None,
    periodic: bool | None = None,
    reader: str | None = None,
    options: ReadOptions | None = None,
) -> list[Exported]:
    """Exports microstructures to files of another program; all files are complete, or none is there.

    What is there already is never replaced: the same content counts as done, other content is refused.

    Example:
        >>> import numpy as np
        >>> squares = np.kron([[0, 1], [1, 0]], np.ones((4, 4), int))
        >>> (done,) = export(squares, "inp", "deck", [{"E": 1, "nu": 0.3}, {"E": 10, "nu": 0.2}])
        >>> done.files[0].name
        'candidate.inp'

    Args:
        candidates: An array `(X, Y)`, a stack `(n, X, Y)`, volumes `(n, X, Y, Z)`, or with `dims` = 3 one volume `(X,
            Y, Z)`; a `Microstructures`; or the path, or paths, of files of any format that `read` knows.
        to: A name in `EXPORTERS`, or `module:name` of an exporter of your own (see `Exporter`).
        out: The folder of the files; they are called after the file of the candidate.
        materials: The phases, as `homogenize` takes them; needed by `inp`, `card`, `damask` and `fans`.
        phase: The phase that `stl`, `svg`, `dxf` and `openfoam-snappy` export alone; all are exported otherwise.
        smooth: Standard deviation in pixels of the Gaussian that rounds the steps of pixels off surfaces and outlines;
            0.8 when left out. Raise it for noisy scans, and take 0 where the steps are meant.
        dims: 3 where three axes are one volume and not a stack of images.
        pixel_size: Edge of a pixel with its unit, `0.5um`, or its edges, in the place of what the file states.
        periodic: Whether the samples tile space; None takes what the file states, and arrays do.
        reader: A name in `READERS`, or `MODULE:CLASS` of a reader of your own; None chooses by the path.
        options: All options of reading at once, in the place of the three above.

    Returns:
        The files of each microstructure, and notes on them.

    Raises:
        InputError: The format is not known, cannot hold a sample, or needs what was not given; a file cannot be read,
            or is there already with other content.
        StorageError: A file cannot be written.
    """
    exporter = load_exporter(to)
    chosen = ExportOptions(phase=phase, smooth=smooth)
    for name in ("phase", "smooth"):
        if getattr(chosen, name) is not None and name not in exporter.takes:
            raise InputError(f"--{name} has no meaning for --to {to}; leave it out.")
    if options is None:
        options = ReadOptions(dims=dims, pixel_size=pixel_size, periodic=periodic)
    samples = samples_of(candidates, None if materials is None else phases_from(materials), options, reader)
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out}: is a file; expected a folder.")
    done = []
    with staged(out) as folder:
        written = [(sample, *exporter.write(sample, folder, chosen)) for sample in samples]
        made = [path for _, files, _ in written for path in files]
        settle([(path, out / path.relative_to(folder)) for path in made])
        for sample, files, notes in written:
            final = tuple(out / path.relative_to(folder) for path in files)
            done.append(Exported(name=sample.source, files=final, notes=tuple(notes)))
    return done
