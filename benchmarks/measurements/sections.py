"""Volumes drawn like one section of a volume, beside windows of its other half and beside cut Gaussian fields."""

import time
from collections.abc import Iterator

import numpy as np
from scipy.special import ndtri

import microdesign as md
from microdesign.microstructure.statistics.population import Population


def compare(path: str, size: int, count: int, pixels: int, contrast: float, seed: int) -> Iterator[str]:
    """Yields the lines of the table."""
    volume = md.read(path, dims=3).labels[0]
    half = len(volume) // 2
    image = volume[half // 2, :pixels, :pixels]
    alike = Population.fit(image[None], periodic=False, shape=(size, size))
    stream = np.random.default_rng(seed)

    def windows() -> np.ndarray:
        corners = [[stream.integers(0, n - size + 1) for n in volume[half:].shape] for _ in range(count)]
        return np.stack([volume[half:][tuple(slice(c, c + size) for c in corner)] for corner in corners])

    def drawn() -> np.ndarray:
        return md.draw("pretrained", like=image, dims=3, size=size, n=count, seed=seed).labels

    def fields() -> np.ndarray:
        return np.stack([cut_field(image, size, stream) for _ in range(count)])

    yield f"{'':24}{'phase 1':>9}{'chord of 1':>12}{'of 0':>7}{'alike':>8}{'kx':>18}{'C11':>18}{'s each':>8}"
    yield f"{'image':24}{image.mean():9.3f}{chord(image, 1):12.1f}{chord(image, 0):7.1f}"
    for name, make in (("windows, other half", windows), ("drawn volumes", drawn), ("cut Gaussian fields", fields)):
        begun = time.perf_counter()
        volumes = make()
        seconds = (time.perf_counter() - begun) / count
        sections = np.concatenate([np.moveaxis(each, axis, 0)[:: size // 8] for each in volumes for axis in range(3)])
        share = (alike.distance(sections, periodic=False) <= 1).mean()
        kx, c11 = properties(volumes, contrast)
        chords = [np.mean([chord(each, phase) for each in volumes]) for phase in (1, 0)]
        yield (
            f"{name:24}{volumes.mean():9.3f}{chords[0]:12.1f}{chords[1]:7.1f}{share:8.0%}"
            f"{kx.mean():10.3f} +-{kx.std():6.3f}{c11.mean():10.3f} +-{c11.std():6.3f}{seconds:8.1f}"
        )


def chord(labels: np.ndarray, phase: int) -> float:
    """Mean chord of a phase in pixels, over the axes; without the edges."""
    here = labels == phase
    changes = [np.diff(labels.astype(np.int8), axis=axis) != 0 for axis in range(labels.ndim)]
    return float(np.mean([2 * here.mean() / each.mean() for each in changes]))


def properties(volumes: np.ndarray, contrast: float) -> tuple[np.ndarray, np.ndarray]:
    """kx and C11 in units of phase 1, averaged over the axes; mirror boundaries, for windows are not periodic."""
    phases = [{"E": contrast, "nu": 0.2, "k": contrast}, {"E": 1.0, "nu": 0.2, "k": 1.0}]
    found = [md.homogenize(each, phases, dims=3, boundary="mirror") for each in volumes]
    conductivity = [np.mean(np.diagonal(np.asarray(each.conductivity).reshape(3, 3))) for each in found]
    stiffness = [np.mean(np.diagonal(np.asarray(each.stiffness).reshape(6, 6))[:3]) for each in found]
    return np.array(conductivity), np.array(stiffness)


def cut_field(image: np.ndarray, size: int, stream: np.random.Generator) -> np.ndarray:
    """A Gaussian random field cut at the image's volume fraction, with its radial two-point statistics.

    Source: P. M. Adler, C. G. Jacquin, J. A. Quiblier, "Flow in simulated porous media", International Journal of
    Multiphase Flow 16, 691 (1990): the field's correlation follows from the indicator's by the bivariate normal.
    """
    phi = image.mean()
    level = ndtri(1 - phi)
    rho = np.linspace(-0.999, 0.999, 801)
    slope = np.exp(-(level**2) / (1 + rho)) / (2 * np.pi * np.sqrt(1 - rho**2))
    indicator = np.concatenate([[0], np.cumsum((slope[1:] + slope[:-1]) / 2 * np.diff(rho))])
    indicator -= np.interp(0, rho, indicator)
    measured = _radial_covariance(image - phi, size // 2) / (phi * (1 - phi))
    correlation = np.interp(measured, indicator / indicator[-1], rho)
    correlation[0] = 1
    steps = np.minimum(np.arange(size), size - np.arange(size)) ** 2.0
    distance = np.sqrt(steps[:, None, None] + steps[:, None] + steps)
    covariance = np.interp(distance, np.arange(len(correlation)), correlation, right=0)
    amplitude = np.sqrt(np.fft.rfftn(covariance).real.clip(0))
    field = np.fft.irfftn(np.fft.rfftn(stream.standard_normal((size,) * 3)) * amplitude, (size,) * 3)
    return (field > np.quantile(field, 1 - phi)).astype(np.uint8)


def _radial_covariance(deviation: np.ndarray, most: int) -> np.ndarray:
    """Autocovariance of an image that is not periodic, at distances from 0 to `most` pixels."""
    shape = [2 * n for n in deviation.shape]

    def correlate(values: np.ndarray) -> np.ndarray:
        return np.fft.irfftn(np.abs(np.fft.rfftn(values, shape)) ** 2, shape)

    covariance = correlate(deviation) / correlate(np.ones_like(deviation)).clip(1)
    x, y = (np.fft.fftfreq(n, 1 / n) for n in shape)
    distance = np.round(np.hypot(x[:, None], y)).astype(int)
    near = distance <= most
    return np.bincount(distance[near], covariance[near]) / np.bincount(distance[near])
