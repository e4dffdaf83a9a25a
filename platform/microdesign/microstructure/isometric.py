"""A volume seen from outside: the three faces of its box that show, in isometric projection."""

import math

import numpy as np
from numpy.typing import NDArray

_FINE = 3
"""Samples along each edge of a pixel, which are averaged."""
_SHADES = (1.0, 0.86, 0.72)
"""What light the upper, the front and the right face get."""
_WIDE = math.sqrt(3) / 2


def isometric(grey: NDArray[np.uint8], rows: int, paper: int = 255) -> NDArray[np.uint8]:
    """Returns a picture `(rows, columns)` of the grey values `(X, Y, Z)` of a volume.

    z points up, x to the right and towards the viewer, y to the right and away: the faces at the largest z and x and at
    the smallest y show, each with its own shade. A voxel at (x, y, z) is drawn at the point (sqrt(3)/2 (x + y),
    (y - x)/2 + z), up and to the right, and each point of the picture is found on the face that shows there.

    Example:
        >>> box = isometric(np.full((4, 4, 4), 200, np.uint8), rows=80)
        >>> box[[0, 20, 50, 50], [5, 35, 20, 50]]  # beside the box, on top, in front, on the right
        array([255, 200, 172, 144], dtype=uint8)

    Args:
        grey: Grey value of each voxel.
        rows: Height of the picture in pixels.
        paper: Grey value around the box.
    """
    x_count, y_count, z_count = grey.shape
    height, width = (x_count + y_count) / 2 + z_count, _WIDE * (x_count + y_count)
    columns = max(1, round(rows * width / height))
    unit = height / (rows * _FINE)
    along = (np.arange(columns * _FINE) + 0.5) * unit / _WIDE
    up = y_count / 2 + z_count - (np.arange(rows * _FINE) + 0.5) * unit
    s, v = np.broadcast_arrays(along[None], up[:, None])
    top = v - z_count
    faces = (
        ((s - 2 * top) / 2, (s + 2 * top) / 2, np.full(s.shape, z_count - 0.5)),
        (s, np.full(s.shape, 0.5), v + s / 2),
        (np.full(s.shape, x_count - 0.5), s - x_count, v - (s - 2 * x_count) / 2),
    )
    picture = np.full(s.shape, float(paper))
    for shade, point in zip(_SHADES, faces, strict=True):
        inside = np.logical_and.reduce([(p >= 0) & (p < n) for p, n in zip(point, grey.shape, strict=True)])
        picture[inside] = shade * grey[tuple(p[inside].astype(int) for p in point)]
    return picture.reshape(rows, _FINE, columns, _FINE).mean((1, 3)).round().astype(np.uint8)
