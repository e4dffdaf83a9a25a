"""Smoothed variants of an image: rough outlines are what separates a decode from many an optimum.

An image is blurred and binarized again at a given volume fraction, a step of motion by mean curvature at constant
area (Merriman, Bence and Osher, Diffusion generated motion by mean curvature, UCLA CAM report 92-18, 1992); with a blur
along one axis alone it is drawn out along that.

Shapes: n images, m variants of one, X Y image.
"""

from collections.abc import Sequence

import numpy as np

from microdesign.design.search.prediction import predict_target
from microdesign.design.search.screening import Designs
from microdesign.design.target.target import Target
from microdesign.surrogate.protocol import Surrogate

_ACROSS, _ISOTROPIC, _ALONG = 0.5, (1.0, 2.0), (0.06, 0.25)
"""Standard deviations of the blur: in pixels across the axis along which it goes, in pixels in all directions, and
along an axis as shares of the image."""

_STEP = 0.02
"""Change of the volume fraction that is tried as well."""


def smoothed(labels: np.ndarray, fractions: Sequence[float]) -> np.ndarray:
    """Returns variants uint8 `(m, X, Y)` of a periodic two-phase image, those that differ from it and each other.

    Args:
        labels: uint8 `(X, Y)`.
        fractions: Volume fractions of phase 1 that they are to have.

    Example:
        >>> wavy = np.array([[1, 1, 1, 1], [1, 0, 1, 1], [0, 1, 0, 0], [0, 0, 0, 0]], np.uint8)
        >>> any((each == each[:, :1]).all() for each in smoothed(wavy, [0.5]))  # straight layers are among them
        True
    """
    size = np.array(labels.shape)
    widths = [np.full(2, width) for width in _ISOTROPIC]
    widths += [np.where(np.arange(2) == axis, share * size, _ACROSS) for share in _ALONG for axis in (0, 1)]
    seen, found = {labels.tobytes()}, []
    for width in widths:
        order = np.argsort(-_blurred(labels, width).ravel().round(9), kind="stable")
        for fraction in fractions:
            image = np.zeros(labels.size, np.uint8)
            image[order[: int(fraction * labels.size + 1e-6)]] = 1
            if image.tobytes() not in seen:
                seen.add(image.tobytes())
                found.append(image.reshape(labels.shape))
    return np.stack(found) if found else np.empty((0, *labels.shape), np.uint8)


def smoothed_designs(
    surrogate: Surrogate, target: Target, labels: np.ndarray, component: int, parents: Sequence[str]
) -> Designs:
    """Variants of images that keep the target's constraints, with the latents that they are encoded to.

    Their volume fractions are the image's own and a little more and less of it, within the constraint.

    Args:
        surrogate: The model.
        target: What is asked.
        labels: uint8 `(n, X, Y)`.
        component: What their latents are of.
        parents: Key of each image, n.
    """
    limits = target.constraints.volume_fraction.get(1, (0.0, 1.0))
    variants, keys = [np.empty((0, *labels.shape[1:]), np.uint8)], list[str]()
    for image, key in zip(labels, parents, strict=True):
        asked = np.clip(image.mean() + np.array([0.0, -_STEP, _STEP]), *limits)
        variants.append(smoothed(image, list(dict.fromkeys(asked.tolist()))))
        keys += [key] * len(variants[-1])
    found = np.concatenate(variants)
    kept = np.flatnonzero(target.admits(found))
    mean, std = predict_target(target, surrogate, found[kept])
    z = surrogate.encode(found[kept])[0] if len(kept) else np.empty((0, surrogate.encode(labels[:1])[0].shape[1]))
    return Designs(z, np.full(len(kept), component), found[kept], mean, std, tuple(keys[i] for i in kept))


def _blurred(labels: np.ndarray, width: np.ndarray) -> np.ndarray:
    """The image under a periodic Gaussian of a standard deviation in pixels along each axis."""
    x, y = np.fft.fftfreq(labels.shape[0]), np.fft.rfftfreq(labels.shape[1])
    decay = np.exp(-2 * np.pi**2 * ((width[0] * x[:, None]) ** 2 + (width[1] * y) ** 2))
    return np.fft.irfft2(np.fft.rfft2(labels.astype(float)) * decay, s=labels.shape)
