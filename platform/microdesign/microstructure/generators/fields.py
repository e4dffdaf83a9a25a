"""Thresholded random fields: Gaussian random fields, spinodal patterns and filtered noise, in two and three dimensions.

All are white noise under a filter in Fourier space, hence periodic; the threshold is the quantile of the volume
fraction, which is met to a pixel.
"""

import math
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from microdesign.microstructure.generators.draws import (
    MIN_FEATURE,
    highest,
    log_uniform,
    rotation,
    spread_log,
    stratified,
)
from microdesign.microstructure.generators.sample import Drawn, Sample, supersampled

SHORTEST = 2.0
"""Shortest length of a Gaussian random field, in pixels of MICRO2D's images."""


@supersampled
def gaussian_random_field(sample: Sample) -> Drawn:
    """Thresholded Gaussian random field, see `layered_field`; phase 1 is the rarer one, 0.03 to 0.5, as in MICRO2D."""
    fraction = float(sample.stream.uniform(0.03, 0.5))
    field, described = layered_field(sample, SHORTEST, 0.12 * sample.size)
    return highest(field, fraction), {"fraction": fraction, **described}


def spinodal(sample: Sample) -> Drawn:
    """Spinodal-like pattern: a superposition of periodic waves of nearly one wavelength and random phases, thresholded.

    Cahn's picture of early spinodal decomposition (Cahn 1965, doi 10.1063/1.1695731); with the waves' directions
    near one or several orthogonal axes, the anisotropic `spinodoids` of Kumar et al. (2020, doi
    10.1038/s41524-020-0341-6). `axes` = 0 is isotropic, 1 lamellar, more a grid; `spread` is the standard deviation
    of the directions about the axes, in radians.
    """
    stream, size, dims = sample.stream, sample.size, sample.dims
    fraction = float(stream.uniform(0.2, 0.8))
    wavelength = log_uniform(stream, 2 * MIN_FEATURE, size / 3)
    axes = int(stream.integers(0, dims + 1))
    spread = float(stream.uniform(0.15, 0.6))
    turned, described = rotation(stream, dims)
    waves = frequencies(sample.shape)
    square = sum(k * k for k in waves)
    # At least half the spacing of the grid of frequencies, so that a few waves remain on it.
    width = max(0.08 / wavelength, 0.5 / size)
    weight = np.exp(-((np.sqrt(square) - 1 / wavelength) ** 2) / (2 * width**2))
    parameters: dict[str, Any] = {"fraction": fraction, "wavelength": wavelength, "axes": axes}
    if axes:
        directional = np.zeros_like(weight)
        for axis in turned[:axes]:
            along = sum(component * k for component, k in zip(axis, waves, strict=True))
            cosine = along**2 / np.maximum(square, 1e-12)
            directional += np.exp((cosine - 1) / (2 * spread**2))
        weight *= directional
        parameters |= {"spread": spread, "angle" if dims == 2 else "quaternion": described}
    weight.flat[0] = 0.0
    return highest(filtered(white_noise(sample), weight.astype(np.float32)), fraction), parameters


def filtered_noise(sample: Sample) -> Drawn:
    """White noise blurred by a periodic kernel with its own size along each axis, thresholded at a volume fraction.

    The kind of volume behind the three-dimensional structure-property sets of Yang et al. (2018, doi
    10.1016/j.commatsci.2018.05.014) and Cecen et al. (2018, doi 10.1016/j.actamat.2017.11.053), 51^3 there. Their
    filter sizes are not published where we could read them: here a Gaussian kernel has standard deviations (pixels) of
    1.5 to 0.12 of the edge, a box kernel odd widths of 3 pixels to 0.4 of the edge, log-uniform; the volume fraction
    is 0.1 to 0.9. A box leaves the field rough, with features of single pixels whatever its size. Kernel, sizes and
    fraction are spread over samples as by Latin hypercubes, each from seed and index alone (see `stratified`).
    """
    size = sample.size
    # Five numbers whatever the dimension, so that the first ones do not depend on it.
    share, kind, *extents = stratified(sample.seed, sample.index, 5)
    fraction = 0.1 + 0.8 * float(share)
    lengths: list[float]
    if kind < 0.5:
        kernel = "gaussian"
        lengths = [spread_log(u, MIN_FEATURE / 2, 0.12 * size) for u in extents[: sample.dims]]
        transfer = gaussian_transfer(sample.shape, lengths, np.eye(sample.dims))
    else:
        kernel = "box"
        # Halves of widths between 2 m and 2 m + 2 become the odd width 2 m + 1.
        lengths = [2 * int(spread_log(u, 2.0, max(0.4 * size, 4.0)) / 2) + 1 for u in extents[: sample.dims]]
        transfer = _box_transfer(sample.shape, lengths)
    field = filtered(white_noise(sample), transfer)
    return highest(field, fraction), {"fraction": fraction, "kernel": kernel, "lengths": lengths}


def layered_field(sample: Sample, low: float, high: float) -> tuple[NDArray[np.float32], dict[str, Any]]:
    """Draws a Gaussian random field: the sum of two, each white noise under an anisotropic Gaussian filter of its own.

    A filter of standard deviations a and b (pixels) along its axes makes a field of correlation
    exp(-(u / 2a)^2 - (v / 2b)^2); in three dimensions there are three of them. The shortest is `low` to `high` pixels,
    log-uniform, the others up to 6 times as long, at most a quarter of the edge, at any orientation. As in MICRO2D, a
    field may so have fine stripes over coarse patches, or patches with ragged outlines.

    Returns:
        The field, of the sample's shape and a standard deviation of 1; and its parameters, the weight of a layer being
        its share of the variance.
    """
    stream, dims = sample.stream, sample.dims
    first = float(stream.random())
    field, layers = np.zeros(sample.shape, dtype=np.float32), []
    for weight in (first, 1 - first):
        short = log_uniform(stream, low, high)
        lengths = [min(short * log_uniform(stream, 1.0, 6.0), 0.25 * sample.size) for _ in range(dims - 1)] + [short]
        axes, described = rotation(stream, dims)
        layer = filtered(white_noise(sample), gaussian_transfer(sample.shape, lengths, axes))
        field += np.float32(math.sqrt(weight)) / layer.std() * layer
        layers.append({"weight": weight, "lengths": lengths, "angle" if dims == 2 else "quaternion": described})
    return field / field.std(), {"layers": layers}


def white_noise(sample: Sample) -> NDArray[np.float32]:
    """Returns independent standard normal numbers of the sample's shape."""
    return sample.stream.standard_normal(sample.shape, dtype=np.float32)


def filtered(noise: NDArray[np.float32], transfer: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the periodic convolution of `noise` with the kernel whose real Fourier transform is `transfer`."""
    return scipy.fft.irfftn(scipy.fft.rfftn(noise) * transfer, s=noise.shape)


def frequencies(shape: tuple[int, ...]) -> list[NDArray[np.float64]]:
    """Returns the frequencies along each axis of a real FFT, in cycles a pixel, shaped to broadcast."""
    dims = len(shape)
    each = [scipy.fft.fftfreq(n) for n in shape[:-1]] + [scipy.fft.rfftfreq(shape[-1])]
    return [k.reshape([-1 if b == a else 1 for b in range(dims)]) for a, k in enumerate(each)]


def gaussian_transfer(shape: tuple[int, ...], lengths: list[float], axes: NDArray[np.float64]) -> NDArray[np.float32]:
    """Returns the transform of a Gaussian kernel, exp(-2 pi^2 sum_a (l_a k_a)^2), l_a pixels along row a of `axes`."""
    waves = frequencies(shape)
    square = 0
    for length, axis in zip(lengths, axes, strict=True):
        along = sum(component * k for component, k in zip(axis, waves, strict=True))
        square = square + (length * along) ** 2
    return np.exp(-2 * math.pi**2 * square).astype(np.float32)


def _box_transfer(shape: tuple[int, ...], widths: list[float]) -> NDArray[np.float32]:
    # The transform of w equal weights in a row is Dirichlet's kernel, sin(pi w k) / (w sin(pi k)).
    transfer = np.ones(1)
    for width, k in zip(widths, frequencies(shape), strict=True):
        below = width * np.sin(math.pi * k)
        transfer = transfer * np.where(k == 0, 1.0, np.sin(math.pi * width * k) / np.where(k == 0, 1.0, below))
    return transfer.astype(np.float32)
