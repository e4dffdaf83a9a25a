"""Clusters of a phase, and whether they percolate: on hard images, by `scipy.ndimage.label`.

Pixels are connected through their faces. In a periodic image a cluster continues across the boundary, and it percolates
along an axis if following it one can come back to the same pixel displaced by whole periods along that axis: only then
is it endless in the tiled plane. A cluster that spans from face to face need not be (its ends may not meet).
"""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from torch import Tensor

from microdesign.core.errors import InputError
from microdesign.microstructure.data.indicators import as_bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Clusters:
    """The clusters of one phase in one image, largest first.

    Attributes:
        labels: int32 `(*N)`, 0 outside the phase, 1 to n the cluster.
        sizes: Pixels of each cluster, int64 `(n,)`.
        percolates: Whether a cluster is endless along an axis, bool `(n, dims)`. In an image that is not periodic:
            whether it reaches from the first to the last layer.
    """

    labels: NDArray[np.int32]
    sizes: NDArray[np.int64]
    percolates: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def connectedness(self) -> float:
        """Probability that two pixels of the phase, drawn at random, are of one cluster; nan without the phase."""
        total = float(self.sizes.sum())
        return float((self.sizes.astype(float) ** 2).sum()) / total**2 if total else float("nan")


def clusters(phase: ArrayLike, periodic: bool = True) -> Clusters:
    """Returns the face-connected clusters of a phase, given as bool `(*N)` in any number of dimensions.

    Example:
        >>> found = clusters(np.array([[1, 1, 0], [0, 0, 0], [0, 0, 0]]))
        >>> len(found), found.sizes.tolist(), found.percolates.tolist()
        (1, [2], [[False, False]])

    Raises:
        InputError: The image has no axis or is not of bool or integers 0 and 1.
    """
    mask = np.asarray(phase)
    if mask.ndim == 0 or mask.dtype.kind not in ("b", "u", "i") or ((mask != 0) & (mask != 1)).any():
        raise InputError(f"phase has dtype {mask.dtype}, shape {mask.shape}; expected a bool image.")
    plain, count = ndimage.label(mask)
    if periodic:
        owner, percolates = _joined(plain, count)
    else:
        owner, percolates = np.arange(count + 1), np.zeros((count + 1, mask.ndim), dtype=bool)
        for axis in range(mask.ndim):
            both = np.intersect1d(plain.take(0, axis), plain.take(-1, axis))
            percolates[both, axis] = True
    joined = owner[plain]
    sizes = np.bincount(joined.ravel(), minlength=count + 1)
    sizes[0] = 0
    roots = np.flatnonzero(sizes)
    roots = roots[np.argsort(-sizes[roots], kind="stable")]
    rank = np.zeros(count + 1, dtype=np.int32)
    rank[roots] = np.arange(1, len(roots) + 1, dtype=np.int32)
    return Clusters(labels=rank[joined], sizes=sizes[roots].astype(np.int64), percolates=percolates[roots])


def percolates(indicator: Tensor, dims: int = 2) -> Tensor:
    """Returns whether a phase is endless along each axis of the periodic image, bool `(..., *N) -> (..., dims)`.

    Stripes percolate along themselves and not across; a stripe that runs diagonally around the image percolates along
    both axes. On the CPU, for hard indicators.

    Example:
        >>> stripes = (torch.arange(8) % 4 < 2)[:, None].expand(8, 8)
        >>> percolates(stripes)
        tensor([False,  True])

    Raises:
        InputError: The indicator is not hard or has too few axes.
    """
    return _of_each(indicator, dims, periodic=True)


def spans(indicator: Tensor, dims: int = 2) -> Tensor:
    """Returns whether a cluster reaches from the first to the last layer of each axis, bool `(..., *N) -> (..., dims)`.

    Without the periodic neighbours: for images that are not periodic. On the CPU, for hard indicators.

    Raises:
        InputError: The indicator is not hard or has too few axes.
    """
    return _of_each(indicator, dims, periodic=False)


def _of_each(indicator: Tensor, dims: int, periodic: bool) -> Tensor:
    images = as_bool(indicator, dims).reshape(-1, *indicator.shape[-dims:]).cpu().numpy()
    found = [clusters(image, periodic).percolates.any(axis=0) for image in images]
    return torch.from_numpy(np.array(found, dtype=bool).reshape(*indicator.shape[:-dims], dims))


def _joined(plain: NDArray[np.int32], count: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Joins labels across the periodic boundary: the owner `(count + 1,)` of each, and axes along which it winds.

    Each label is given its displacement in periods from its owner, along a walk through the joints. A joint between
    labels of known displacement that does not fit closes a loop around the image: the axes of the misfit are endless.
    """
    dims = plain.ndim
    joints: dict[int, list[tuple[int, NDArray[np.int64]]]] = defaultdict(list)
    for axis in range(dims):
        step = np.eye(dims, dtype=np.int64)[axis]
        last, first = plain.take(-1, axis).ravel(), plain.take(0, axis).ravel()
        both = (last > 0) & (first > 0)
        for a, b in np.unique(np.stack((last[both], first[both]), 1), axis=0).tolist():
            joints[a].append((b, step))
            joints[b].append((a, -step))
    owner = np.arange(count + 1)
    winds = np.zeros((count + 1, dims), dtype=bool)
    displacement: dict[int, NDArray[np.int64]] = {}
    for root in joints:
        if root in displacement:
            continue
        displacement[root] = np.zeros(dims, dtype=np.int64)
        pending = [root]
        while pending:
            label = pending.pop()
            owner[label] = root
            for other, step in joints[label]:
                reached = displacement[label] + step
                if other not in displacement:
                    displacement[other] = reached
                    pending.append(other)
                winds[root] |= displacement[other] != reached
    return owner, winds
