"""Pixels and voxels as the elements of a mesh that share their nodes."""

import numpy as np
from numpy.typing import NDArray

_CORNERS = {
    2: ((0, 0), (1, 0), (1, 1), (0, 1)),
    3: ((0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1)),
}
"""Corners of a pixel or voxel in the order that finite-element programs and VTK share."""


def grid_nodes(shape: tuple[int, ...], spacing: tuple[float, ...]) -> NDArray[np.float64]:
    """Returns the corners of all pixels or voxels, `(nodes, dims)`, the last axis running fastest.

    Example:
        >>> grid_nodes((1, 1), (2.0, 1.0)).tolist()
        [[0.0, 0.0], [0.0, 1.0], [2.0, 0.0], [2.0, 1.0]]
    """
    axes = [np.arange(n + 1) * edge for n, edge in zip(shape, spacing, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(shape))


def grid_cells(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Returns the nodes of each pixel `(X Y, 4)` or voxel `(X Y Z, 8)`, from 0, the last axis running fastest.

    Example:
        >>> grid_cells((1, 1)).tolist()
        [[0, 2, 3, 1]]
    """
    index = np.arange(np.prod([n + 1 for n in shape])).reshape([n + 1 for n in shape])
    corners = [
        index[tuple(slice(step, step + n) for step, n in zip(corner, shape, strict=True))].ravel()
        for corner in _CORNERS[len(shape)]
    ]
    return np.stack(corners, axis=1)
