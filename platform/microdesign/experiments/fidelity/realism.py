"""Whether decodes resemble the data: their distributions of morphological statistics beside those of held-out images.

Shapes: n images, X Y image.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import wasserstein_distance

from microdesign.microstructure.statistics.connectivity import percolates
from microdesign.microstructure.statistics.descriptors import euler_density
from microdesign.microstructure.statistics.feature_size import minimum_feature_size
from microdesign.microstructure.statistics.morphology import corner_contacts, mean_chord_length
from microdesign.microstructure.statistics.surface import anisotropy, specific_surface
from microdesign.microstructure.statistics.two_point import volume_fractions

SPECKS = 0.05
"""Share of a phase that the feature size ignores as specks and hairs."""
UNITS: Mapping[str, str] = {
    "volume_fraction": "",
    "specific_surface": "1/px",
    "chord_phase_0": "px",
    "chord_phase_1": "px",
    "feature_size": "px",
    "feature_size_phase_0": "px",
    "feature_size_phase_1": "px",
    "euler_number": "per 1000 px",
    "percolation_phase_0": "",
    "percolation_phase_1": "",
    "anisotropy": "",
    "corner_contacts": "per 1000 px",
}
"""The statistics of `morphology` and their units."""


def morphology(labels: np.ndarray) -> dict[str, np.ndarray]:
    """Statistics of two-phase images uint8 `(n, X, Y)`, each `(n,)`, in `UNITS`.

    Volume fraction; specific surface (pixel faces per pixel); mean chord of either phase over both axes (the image's
    size where there is none); feature size of each phase and of the thinner one; Euler number of phase 1 per thousand
    pixels (parts less holes); whether either phase percolates, along both axes (0 to 1); anisotropy; corner contacts
    per thousand pixels.
    """
    x = torch.from_numpy(np.asarray(labels)).float()
    phases = torch.stack((1 - x, x), 1)
    size = float(x.shape[-1])
    chords = torch.nan_to_num(mean_chord_length(phases), nan=size, posinf=size).clamp(max=size).mean(-1)
    feature = torch.nan_to_num(minimum_feature_size(phases, ignore=SPECKS), nan=size, posinf=size)
    percolation = percolates(phases).double().mean(-1)
    values = {
        "volume_fraction": volume_fractions(x),
        "specific_surface": specific_surface(x),
        "chord_phase_0": chords[:, 0],
        "chord_phase_1": chords[:, 1],
        "feature_size": feature.amin(1),
        "feature_size_phase_0": feature[:, 0],
        "feature_size_phase_1": feature[:, 1],
        "euler_number": torch.from_numpy(1000 * euler_density(np.asarray(labels)[:, None] == 1)[:, 0]),
        "percolation_phase_0": percolation[:, 0],
        "percolation_phase_1": percolation[:, 1],
        "anisotropy": anisotropy(x.double()),
        "corner_contacts": 1000 * corner_contacts(x) / x[0].numel(),
    }
    return {name: value.double().numpy() for name, value in values.items()}


def largest_cross_correlation(labels: np.ndarray, partners: int = 8) -> np.ndarray:
    """How similar two-phase images uint8 `(n, X, Y)`, two at least, are to others of them, `(n,)`, 0 to 1.

    The largest magnitude of the normalized cross-correlation over all periodic shifts with each of some partners drawn
    at random, and the mean over these. It is 1 for shifted or phase-inverted copies, so it detects decodes of one noise
    realisation whatever their statistics.
    """
    x = torch.from_numpy(np.asarray(labels)).double()
    x = x - x.mean((1, 2), keepdim=True)
    spectrum = torch.fft.rfft2(x / x.square().sum((1, 2), keepdim=True).clamp_min(1e-12).sqrt())
    stream, values = np.random.default_rng(0), []
    for _ in range(partners):
        ring = stream.permutation(len(x))
        partner = np.empty(len(x), int)
        partner[ring] = np.roll(ring, 1)  # no image is its own partner
        correlation = torch.fft.irfft2(spectrum * spectrum[partner].conj(), s=x.shape[1:])
        values.append(correlation.abs().amax((1, 2)))
    return torch.stack(values).mean(0).numpy()


@dataclass(frozen=True)
class DistributionShift:
    """A statistic of decodes beside that of held-out images.

    Attributes:
        decode_mean, data_mean: Means.
        distance: Earth mover's distance (Wasserstein-1) of the two distributions in standard deviations of the data.
        null_distance: 95th percentile of that distance where there is no difference: both samples are drawn from the
            data, the first with one image for each group of decodes, for decodes of one target may be alike.
        inside: Share of decodes between the 1st and the 99th percentile of the data.
        data_inside: The same share of the data themselves.
    """

    decode_mean: float
    data_mean: float
    distance: float
    null_distance: float
    inside: float
    data_inside: float


def distribution_shifts(
    decodes: Mapping[str, np.ndarray], data: Mapping[str, np.ndarray], group: int = 1, rounds: int = 200
) -> dict[str, DistributionShift]:
    """Compares the statistics of decodes with those of held-out images, name by name; seeded.

    Args:
        decodes: Statistics of decodes, each `(n,)`.
        data: The same statistics of images.
        group: How many decodes share a target.
        rounds: Samples of the null distance, both sides drawn anew in each.
    """
    stream = np.random.default_rng(0)
    found = {}
    for name, values in decodes.items():
        reference = data[name]
        scale = max(float(reference.std()), 1e-12)
        groups = max(1, len(values) // group)
        null = [
            wasserstein_distance(stream.choice(reference, groups), stream.choice(reference, len(reference))) / scale
            for _ in range(rounds)
        ]
        low, high = np.quantile(reference, (0.01, 0.99))
        inside, data_inside = (float(((x >= low) & (x <= high)).mean()) for x in (values, reference))
        found[name] = DistributionShift(
            decode_mean=float(values.mean()),
            data_mean=float(reference.mean()),
            distance=float(wasserstein_distance(values, reference) / scale),
            null_distance=float(np.quantile(null, 0.95)),
            inside=inside,
            data_inside=data_inside,
        )
    return found
