"""Tables of statistics: a data frame for programs and notebooks, lines of text for people."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from microdesign.core.errors import InputError
from microdesign.core.units import shown_unit
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.label_arrays import as_labels
from microdesign.microstructure.io.dimensions import refuse_open_dimensions
from microdesign.microstructure.io.options import ReadOptions

if TYPE_CHECKING:
    import pandas as pd

_BY_AXIS = ("mean_chord", "percolates", "spans")
_CURVES = ("chords", "two_point", "two_point_radius")


def statistics(
    images: Microstructures | NDArray | str | Path | Sequence[str | Path], dims: int | None = None
) -> "pd.DataFrame":
    """Returns statistics of every phase of every image, a row for each; a notebook shows them as a table.

    The columns are those of `characterize` that are one number: `volume_fraction`; `specific_surface` (pixel faces per
    volume, 1 / length); `anisotropy` (0 to 1); `mean_chord_x`, ... (mean run length along each axis);
    `minimum_feature_size`, and `feature_size`, the same without the thinnest 5 % of the phase; `percolates_x`, ...
    (endless in the tiled image); `spans_x`, ... (from face to face); `clusters`; `largest_cluster` (its share);
    `corner_contacts`. Lengths are in the unit that `attrs["length_unit"]` of the table names; where it is empty the
    unit is not known and lengths are in pixels, times the images' `pixel_size` if that is not 1. NaN stands for what is
    infinite or not defined. Curves, such as two-point statistics, are in `characterize`.

    Example:
        >>> import numpy as np
        >>> stripes = np.arange(64).reshape(8, 8) // 16 % 2
        >>> table = statistics(stripes)
        >>> table["mean_chord_x"].tolist(), table["percolates_y"].tolist()
        ([2.0, 2.0], [True, True])

    Args:
        images: Microstructures; integer labels `(X, Y)`, `(n, X, Y)` or `(n, X, Y, Z)`; or the path, or paths, of files
            or folders of any format that `read` knows.
        dims: 3 where three axes of an array or file are one volume `(X, Y, Z)`, 2 where they are a stack of images.

    Raises:
        InputError: A path cannot be read, the files are in different units of length, an array holds other numbers than
            phase labels or has another shape, or three similar axes may be either.
    """
    import pandas as pd  # a quarter of a second to import

    from microdesign.microstructure.statistics.characterization import characterize, characterize_files

    if isinstance(images, str | Path):
        entries = characterize_files([images], options=ReadOptions(dims=dims))
    elif isinstance(images, list | tuple) and images and isinstance(images[0], str | Path):
        entries = characterize_files(list(images), options=ReadOptions(dims=dims))
    else:
        batch = images if isinstance(images, Microstructures) else _of_array(np.asarray(images), dims)
        entries = [{"image": number, **entry} for number, entry in enumerate(characterize(batch))]
    rows = [row for entry in entries for row in _rows(entry)]
    table = pd.DataFrame(rows).set_index(["image", "phase"])
    table.attrs["length_unit"] = _one_unit(entries)
    return table


def statistics_table(rows: Sequence[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Returns titles and lines of a table for people, a line for each phase of each entry of `characterize_files`.

    Raises:
        InputError: The files are in different units of length.
    """
    unit = _one_unit(rows)
    axes = "xyz"[: max((len(row["percolates"][0]) for row in rows), default=0)]
    of, per = (f" / {shown_unit(unit)}", f" / 1/{shown_unit(unit)}") if unit else ("", "")
    chords = [f"chord {axis}{of}" for axis in axes]
    features = [f"min. feature{of}", f"feature{of}"]
    titles = ["image", "phase", "fraction", f"surface{per}", "anisotropy", *chords, *features, "percolates"]
    lines = []
    for row in rows:
        for phase, fraction in enumerate(row["volume_fractions"]):
            lengths = [_short(length) for length in row["mean_chord"][phase]] + [""] * len(axes)
            along = "".join(axis for axis, endless in zip(axes, row["percolates"][phase], strict=False) if endless)
            lines.append(
                [
                    row["image"] if phase == 0 else "",
                    str(phase),
                    f"{fraction:.4f}",
                    f"{row['specific_surface'][phase]:.4g}",
                    "-" if row["anisotropy"][phase] is None else f"{row['anisotropy'][phase]:.3f}",
                    *lengths[: len(axes)],
                    _short(row["minimum_feature_size"][phase]),
                    _short(row["feature_size"][phase]),
                    along or "no",
                    str(row["corner_contacts"][phase]),
                ]
            )
    return [*titles, "corner contacts"], lines


def _rows(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """One flat row a phase of an entry of `characterize`."""
    rows = []
    for phase, fraction in enumerate(entry["volume_fractions"]):
        row: dict[str, Any] = {"image": entry["image"], "phase": phase, "volume_fraction": fraction}
        for name, values in entry.items():
            if name in _BY_AXIS:
                row |= {f"{name}_{axis}": value for axis, value in zip("xyz", values[phase], strict=False)}
            elif name not in (*_CURVES, "image", "volume_fractions", "length_unit"):
                row[name] = values[phase]
        rows.append({name: np.nan if value is None else value for name, value in row.items()})
    return rows


def _one_unit(entries: Sequence[dict[str, Any]]) -> str:
    units = sorted({entry["length_unit"] for entry in entries})
    if len(units) > 1:
        named = " and ".join(unit or "pixels" for unit in units)
        raise InputError(
            f"the images are in {named}; expected one unit: give it with --pixel-size, or one file at a time."
        )
    return units[0] if units else ""


def _of_array(labels: NDArray, dims: int | None) -> Microstructures:
    if labels.ndim not in ((2, 3, 4) if dims is None else (dims, dims + 1)):
        expected = "(X, Y), (n, X, Y) or (n, X, Y, Z)" if dims is None else f"{dims} or {dims + 1} axes"
        raise InputError(f"the images have shape {labels.shape}; expected {expected}.")
    refuse_open_dimensions(labels.shape, dims, "the images", "dims=2 or dims=3")
    labels = as_labels(labels[None] if labels.ndim == (dims or 2) else labels, "the images")
    return Microstructures(labels=labels, n_phases=int(labels.max(initial=0)) + 1)


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
