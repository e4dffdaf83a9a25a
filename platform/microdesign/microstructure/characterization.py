"""The table of statistics of a batch of images: one dictionary a sample, one value a phase."""

import math
from typing import Any

import torch
from torch import Tensor

from microdesign.microstructure.connectivity import clusters, percolates, spans
from microdesign.microstructure.container import Microstructures
from microdesign.microstructure.morphology import chord_counts, corner_contacts, mean_chord_length, minimum_feature_size
from microdesign.microstructure.statistics import anisotropy, radial_average, specific_surface, two_point
from microdesign.microstructure.statistics import volume_fractions as fractions_of


def phase_indicators(batch: Microstructures) -> Tensor:
    """Returns the indicators of all phases, float32 `(n, P, *shape)`, also for two phases."""
    labels = torch.from_numpy(batch.labels)
    return torch.stack([labels == phase for phase in range(batch.n_phases)], 1).float()


def characterize(batch: Microstructures) -> list[dict[str, Any]]:
    """Returns the statistics of each sample, as JSON takes them; None stands for what is infinite or not defined.

    Each entry is a list over the phases; those by axis are lists over the axes within it. Lengths are in the unit of
    the batch's `pixel_size`, counts in pixels:

    - `volume_fractions`; `specific_surface` (1 / length, pixel faces); `anisotropy` (0 to 1);
    - `mean_chord` by axis, None where the phase has no end or is absent; `minimum_feature_size`;
    - `percolates` by axis (endless in the tiled image); `spans` by axis (from face to face in the image as it is);
    - `clusters`, their number, and `largest_cluster`, the share of the phase in the largest one;
    - `corner_contacts`, the number of 2 x 2 blocks whose pixels touch at a corner only;
    - `chords` by axis: number of chords of 0, 1, 2, ... pixels; `two_point`: autocorrelation in rings of radius
      `two_point_radius` (the same for all phases).

    All but `spans` and `clusters` take the images as periodic; those two take `batch.periodic` into account.
    """
    dims = len(batch.shape)
    x = phase_indicators(batch)
    size = batch.pixel_size
    radius, radial = radial_average(two_point(x, dims), dims)
    parts: list[list[Any]] = [[clusters(image, batch.periodic) for image in phases] for phases in x.bool().numpy()]
    columns: dict[str, list[Any]] = {
        "volume_fractions": fractions_of(x, dims).tolist(),
        "specific_surface": specific_surface(x, dims, size).tolist(),
        "anisotropy": anisotropy(x.double(), dims).tolist(),
        "mean_chord": (size * mean_chord_length(x, dims)).tolist(),
        "minimum_feature_size": (size * minimum_feature_size(x, dims)).tolist(),
        "percolates": percolates(x, dims).tolist(),
        "spans": spans(x, dims).tolist(),
        "clusters": [[len(part) for part in phases] for phases in parts],
        "largest_cluster": [
            [float(part.sizes[0] / part.sizes.sum()) if len(part) else None for part in phases] for phases in parts
        ],
        "corner_contacts": corner_contacts(x, dims).long().tolist(),
        "chords": [[[_trimmed(axis) for axis in phase] for phase in phases] for phases in chord_counts(x, dims)],
        "two_point": radial.tolist(),
        "two_point_radius": [(size * radius).tolist()] * len(batch),
    }
    return [{name: _finite(values[number]) for name, values in columns.items()} for number in range(len(batch))]


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
