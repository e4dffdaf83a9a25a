"""The table of statistics of images: one dictionary a sample, one value a phase."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from microdesign.core.errors import InputError
from microdesign.core.files import replacing
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.indicators import one_hot
from microdesign.microstructure.io.options import NO_OPTIONS, ReadOptions
from microdesign.microstructure.io.readers import read_images
from microdesign.microstructure.statistics.connectivity import clusters, percolates, spans
from microdesign.microstructure.statistics.feature_size import feature_sizes
from microdesign.microstructure.statistics.morphology import (
    chord_counts,
    corner_contacts,
    mean_chord_length,
)
from microdesign.microstructure.statistics.surface import anisotropy, surface_by_axis
from microdesign.microstructure.statistics.two_point import radial_average, two_point
from microdesign.microstructure.statistics.two_point import volume_fractions as fractions_of

IGNORED_SHARE = 0.05
"""Thinnest share of a phase that `feature_size` ignores: specks and hairs."""


def characterize(batch: Microstructures) -> list[dict[str, Any]]:
    """Returns the statistics of each sample as JSON values; None stands for what is infinite or not defined.

    Each entry but `length_unit` is a list over the phases; those by axis are lists over the axes within it. Lengths are
    in `length_unit`, the batch's (empty where it is not known: `pixel_size` alone scales them), counts in pixels:

    - `volume_fractions`; `specific_surface` (1 / length, pixel faces); `anisotropy` (0 to 1);
    - `mean_chord` by axis, None where the phase has no end or is absent; `minimum_feature_size`, and
      `feature_size`, the same without the thinnest 5 % of the phase;
    - `percolates` by axis (endless in the tiled image); `spans` by axis (from face to face in the image as it is);
    - `clusters`, their number, and `largest_cluster`, the share of the phase in the largest one;
    - `corner_contacts`, the number of 2 x 2 blocks whose pixels touch at a corner only;
    - `chords` by axis: number of chords of 0, 1, 2, ... pixels; `two_point`: autocorrelation in rings of radius
      `two_point_radius` (the same for all phases).

    All but `spans` and `clusters` take the images as periodic; those two take `batch.periodic` into account. Of pixels
    that are no squares (`batch.aspect`), what needs distances in all directions is None: feature sizes, anisotropy and
    the rings of `two_point`.
    """
    dims = len(batch.shape)
    x = _indicators(batch)
    edges = torch.tensor(batch.spacing, dtype=torch.float64)
    # Distances are measured in pixels, which says something of a length where pixels are squares.
    size = math.nan if batch.aspect else batch.pixel_size
    widths = size * feature_sizes(x, dims, (0, IGNORED_SHARE))
    radius, radial = radial_average(two_point(x, dims), dims)
    parts: list[list[Any]] = [[clusters(image, batch.periodic) for image in phases] for phases in x.bool().numpy()]
    columns: dict[str, list[Any]] = {
        "volume_fractions": fractions_of(x, dims).tolist(),
        "specific_surface": (surface_by_axis(x, dims) / edges).sum(-1).tolist(),
        "anisotropy": (anisotropy(x.double(), dims) + 0 * size).tolist(),
        "mean_chord": (edges * mean_chord_length(x, dims)).tolist(),
        "minimum_feature_size": widths[..., 0].tolist(),
        "feature_size": widths[..., 1].tolist(),
        "percolates": percolates(x, dims).tolist(),
        "spans": spans(x, dims).tolist(),
        "clusters": [[len(part) for part in phases] for phases in parts],
        "largest_cluster": [
            [float(part.sizes[0] / part.sizes.sum()) if len(part) else None for part in phases] for phases in parts
        ],
        "corner_contacts": corner_contacts(x, dims).long().tolist(),
        "chords": [[[_trimmed(axis) for axis in phase] for phase in phases] for phases in chord_counts(x, dims)],
        "two_point": (radial + 0 * size).tolist(),
        "two_point_radius": [(size * radius).tolist()] * len(batch),
    }
    return [
        {name: _finite(values[number]) for name, values in columns.items()} | {"length_unit": batch.length_unit}
        for number in range(len(batch))
    ]


def characterize_files(
    paths: Sequence[str | Path],
    two_point_file: str | Path | None = None,
    reader: str | None = None,
    options: ReadOptions = NO_OPTIONS,
) -> list[dict[str, Any]]:
    """Returns the statistics of all images of files that `read_images` reads, each with its name as `image`.

    Args:
        paths: Files of images.
        two_point_file: Where to save the autocorrelations of all phases, float32 `(n, P, *shape)`, offset 0 first.
        reader: A name in `READERS`, or `MODULE:CLASS` of a reader of your own; None chooses by the path.
        options: What the files do not state themselves.

    Raises:
        InputError: A file cannot be read, it may hold images or one volume, or the autocorrelations are of
            several shapes.
    """
    rows: list[dict[str, Any]] = []
    correlations: list[Tensor] = []
    for path in paths:
        entries: list[dict[str, Any]] = []
        for batch in read_images(path, options=options, reader=reader):
            entries += characterize(batch)
            if two_point_file is not None:
                correlations.append(
                    two_point(one_hot(torch.from_numpy(batch.labels), batch.n_phases), len(batch.shape))
                )
        names = [str(path)] if len(entries) == 1 else [f"{path}[{number}]" for number in range(len(entries))]
        rows += [{"image": name, **entry} for name, entry in zip(names, entries, strict=True)]
    if two_point_file is not None:
        shapes = {tuple(f.shape[1:]) for f in correlations}
        if len(shapes) != 1:
            raise InputError(
                f"the images have phases and sizes {sorted(shapes)}; expected one, for all two-point statistics to go "
                f"into {two_point_file}."
            )
        with replacing(two_point_file) as temporary, temporary.open("wb") as file:
            np.save(file, torch.cat(correlations).numpy(), allow_pickle=False)
    return rows


def _indicators(batch: Microstructures) -> Tensor:
    return one_hot(torch.from_numpy(batch.labels), batch.n_phases)


def _trimmed(counts: Tensor) -> list[int]:
    """Without the zeros after the longest chord."""
    values: list[int] = counts.tolist()
    while values and values[-1] == 0:
        values.pop()
    return values


def _finite(value: Any) -> Any:
    if isinstance(value, list):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
