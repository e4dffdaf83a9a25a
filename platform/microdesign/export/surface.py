"""The surface of a phase: rounded, closed, and of samples that tile space the same on opposite faces.

Marching cubes runs on the phase's indicator, smoothed by a Gaussian, at the level that keeps the phase's volume. One
layer of the mean of both sides lies on each face of the box, so that what leaves through a face comes in through the
opposite one, and one layer outside, of no thickness and without the phase, closes the surface there.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage import measure

SMOOTH = 0.8
"""Standard deviation in pixels of the Gaussian: steps of pixels vanish, features of three pixels stay."""


class Field(NamedTuple):
    """A phase as a field that is above `level` inside it.

    Attributes:
        values: Float64, with two layers more on each side than the sample has pixels.
        level: Where the surface is.
        coordinates: Of the layers along each axis.
    """

    values: NDArray[np.float64]
    level: float
    coordinates: list[NDArray[np.float64]]


def phase_field(
    phase: NDArray[np.bool_], spacing: tuple[float, ...], periodic: bool, smooth: float | None = None
) -> Field:
    """Returns the field of a phase, bool `(X, Y)` or `(X, Y, Z)`."""
    sigma = SMOOTH if smooth is None else smooth
    values = phase.astype(np.float64)
    if sigma > 0:
        # An axis of one pixel is the thickness of a plate, which is not to be rounded.
        sigmas = [sigma if n > 1 else 0.0 for n in phase.shape]
        values = ndimage.gaussian_filter(values, sigmas, mode="wrap" if periodic else "nearest")
    share = float(phase.mean())
    level = 0.5 if sigma == 0 or share in (0.0, 1.0) else float(np.quantile(values, 1 - share, method="midpoint"))
    # A little higher, so that no value (the mean of a 0 and a 1) is the level itself, where surfaces degenerate, and no
    # film of a phase that ends at a face is left on the opposite one.
    level = min(max(level, 0.05), 0.95) * (1 + 1e-3)
    coordinates = []
    for axis, (n, edge) in enumerate(zip(phase.shape, spacing, strict=True)):
        first, last = values.take([0], axis), values.take([-1], axis)
        if periodic:
            first = last = (first + last) / 2
        values = np.concatenate([first, values, last], axis)
        centres = (np.arange(n) + 0.5) * edge
        coordinates.append(np.concatenate([[0, 0], centres, [n * edge, n * edge]]))
    return Field(np.pad(values, 1), level, coordinates)


def surface(
    phase: NDArray[np.bool_], spacing: tuple[float, ...], periodic: bool, smooth: float | None = None
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Returns the closed surface of a phase, bool `(X, Y, Z)`: points `(n, 3)` and triangles `(m, 3)`, facing outwards.

    Example:
        >>> ball = ((np.indices((8, 8, 8)) - 3.5) ** 2).sum(0) < 9
        >>> points, triangles = surface(ball, (1.0, 1.0, 1.0), periodic=True)
        >>> abs(enclosed_volume(points, triangles) / ball.sum() - 1) < 0.1
        True
    """
    field = phase_field(phase, spacing, periodic, smooth)
    raw, faces, _, _ = measure.marching_cubes(field.values, field.level, gradient_direction="descent")
    points = _placed(raw, field.coordinates)
    # On the box's edges two layers without thickness meet: their points coincide, and triangles between them vanish.
    points, which = np.unique(points, axis=0, return_inverse=True)
    triangles = which.reshape(-1)[faces]
    a, b, c = triangles.T
    triangles = triangles[(a != b) & (b != c) & (c != a)]
    if enclosed_volume(points, triangles) < 0:
        triangles = triangles[:, ::-1]
    return points, triangles


def outlines(
    phase: NDArray[np.bool_], spacing: tuple[float, ...], periodic: bool, smooth: float | None = None
) -> list[NDArray[np.float64]]:
    """Returns the closed outlines of a phase, bool `(X, Y)`: points `(n, 2)` of each, the last not the first again.

    Holes are outlines of their own, the other way round.

    Example:
        >>> disc = ((np.indices((16, 16)) - 7.5) ** 2).sum(0) < 25
        >>> (circle,) = outlines(disc, (0.5, 0.5), periodic=True)
        >>> circle.mean(0).round(6).tolist()
        [4.0, 4.0]
    """
    field = phase_field(phase, spacing, periodic, smooth)
    found = []
    for raw in measure.find_contours(field.values, field.level):
        points = _placed(raw, field.coordinates)
        points = points[(points != np.roll(points, 1, axis=0)).any(1)]
        if len(points) >= 3:
            found.append(points)
    return found


def enclosed_volume(points: NDArray[np.float64], triangles: NDArray[np.int64]) -> float:
    """Returns the volume inside a closed surface that faces outwards (the divergence theorem)."""
    a, b, c = (points[corner] for corner in triangles.T)
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)


def _placed(raw: NDArray, coordinates: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    columns = [
        np.interp(raw[:, axis].astype(np.float64), np.arange(len(places)), places)
        for axis, places in enumerate(coordinates)
    ]
    return np.stack(columns, axis=1)
