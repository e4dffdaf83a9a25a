"""Loops compiled with numba: nearest points, and sequential placement of points, particles and bricks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

FunctionT = TypeVar("FunctionT", bound=Callable)


def _compiled(function: FunctionT) -> FunctionT:
    # No reordering of sums: the same image on every machine.
    return cast(FunctionT, numba.njit(cache=True, nogil=True)(function))


def nearest_points(points: NDArray[np.float64], box: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.int32]:
    """Finds the nearest of n points for every pixel of a periodic image: its Voronoi cell.

    Args:
        points: Coordinates `(n, dims)` in the box, dims 2 or 3.
        box: Edge lengths `(dims,)` of the box that the image covers; its scale per axis may differ.
        shape: Pixels along each axis.

    Returns:
        The index of the nearest point, int32 `shape`.
    """
    dims = len(shape)
    # In two dimensions the third axis is one pixel and one bucket thick.
    pixels = np.ones(3, dtype=np.int64)
    pixels[:dims] = shape
    lengths = np.ones(3)
    lengths[:dims] = box
    placed = np.full((len(points), 3), 0.5)
    placed[:, :dims] = points
    width = (float(np.prod(box)) / len(points)) ** (1 / dims)
    buckets = np.ones(3, dtype=np.int64)
    buckets[:dims] = np.maximum((box / width).astype(np.int64), 1)
    bucket = np.minimum((placed / lengths * buckets).astype(np.int64), buckets - 1)
    flat = (bucket[:, 0] * buckets[1] + bucket[:, 1]) * buckets[2] + bucket[:, 2]
    order = np.argsort(flat, kind="stable")
    starts = np.searchsorted(flat[order], np.arange(int(np.prod(buckets)) + 1))
    owner = np.empty(tuple(pixels), dtype=np.int32)
    _search(placed[order], lengths, buckets, order, starts, owner)
    return owner.reshape(shape)


@_compiled
def _search(
    points: NDArray[np.float64],
    lengths: NDArray[np.float64],
    buckets: NDArray[np.int64],
    order: NDArray[np.int64],
    starts: NDArray[np.int64],
    owner: NDArray[np.int32],
) -> None:
    pixels = owner.shape
    widths = lengths / buckets
    step = np.array([lengths[0] / pixels[0], lengths[1] / pixels[1], lengths[2] / pixels[2]])
    # Offsets of buckets along each axis, each bucket once.
    low, high = -((buckets - 1) // 2), buckets // 2
    last = max(high[0], high[1], high[2])
    x = np.empty(3)
    home = np.empty(3, dtype=np.int64)
    gap = np.empty(3)
    for i in range(pixels[0]):
        for j in range(pixels[1]):
            for k in range(pixels[2]):
                x[0] = (i + 0.5) * step[0]
                x[1] = (j + 0.5) * step[1]
                x[2] = (k + 0.5) * step[2]
                for a in range(3):
                    home[a] = min(int(x[a] / widths[a]), buckets[a] - 1)
                    inside = x[a] / widths[a] - home[a]
                    gap[a] = min(inside, 1.0 - inside)
                first = -1
                nearest = np.inf
                for ring in range(last + 1):
                    for u in range(max(low[0], -ring), min(high[0], ring) + 1):
                        b0 = (home[0] + u) % buckets[0]
                        for v in range(max(low[1], -ring), min(high[1], ring) + 1):
                            b1 = (home[1] + v) % buckets[1]
                            face = max(abs(u), abs(v)) == ring
                            for w in range(max(low[2], -ring), min(high[2], ring) + 1):
                                if not face and abs(w) != ring:
                                    continue
                                bucket = (b0 * buckets[1] + b1) * buckets[2] + (home[2] + w) % buckets[2]
                                for point in range(starts[bucket], starts[bucket + 1]):
                                    square = 0.0
                                    for a in range(3):
                                        d = abs(x[a] - points[point, a])
                                        d = min(d, lengths[a] - d)
                                        square += d * d
                                    if square < nearest:
                                        first, nearest = point, square
                    # What was not visited is at least this far along an axis that has buckets left.
                    reach = np.inf
                    for a in range(3):
                        if ring < high[a]:
                            reach = min(reach, (ring + gap[a]) * widths[a])
                    if np.sqrt(nearest) <= reach:
                        break
                owner[i, j, k] = order[first]


@_compiled
def place_apart(points: NDArray[np.float64], box: float, distance: float, most: int) -> NDArray[np.int64]:
    """Random sequential placement: goes through points `(n, dims)` and chooses those far from all chosen before.

    Args:
        points: Candidates in a periodic cube of edge `box`.
        box: Edge length.
        distance: Least distance of two chosen points.
        most: Number of points at which it stops.

    Returns:
        Indices of the chosen points, at most `most`, ascending.
    """
    chosen = np.empty(min(most, len(points)), dtype=np.int64)
    count = 0
    for i in range(len(points)):
        if count == len(chosen):
            break
        free = True
        for other in range(count):
            square = 0.0
            for a in range(points.shape[1]):
                d = abs(points[i, a] - points[chosen[other], a])
                d = min(d, box - d)
                square += d * d
            if square < distance * distance:
                free = False
                break
        if free:
            chosen[count] = i
            count += 1
    return chosen[:count]


@dataclass(frozen=True)
class Shapes:
    """Pixels of particles of several kinds.

    Attributes:
        offsets: Of each pixel from the one in the particle's middle, `(m, 3)`, all kinds one below the other; the third
            axis of an image is one pixel.
        starts: Where each kind starts, and the end, `(kinds + 1,)`.
    """

    offsets: NDArray[np.int64]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, shapes: Sequence[NDArray[np.int64]]) -> Self:
        """From the offsets of each kind, `(m, dims)`, dims 2 or 3."""
        offsets = np.concatenate(shapes)
        full = np.zeros((len(offsets), 3), dtype=np.int64)
        full[:, : offsets.shape[1]] = offsets
        return cls(full, np.cumsum([0, *(len(each) for each in shapes)]))

    def __len__(self) -> int:
        """Number of kinds."""
        return len(self.starts) - 1


def pack(
    order: NDArray[np.int64],
    kinds: NDArray[np.int64],
    shapes: Shapes,
    cores: Shapes,
    shape: tuple[int, ...],
    wanted: float,
) -> tuple[NDArray[np.uint8], int]:
    """Sequential addition: places particles at pixels in a given order wherever their cores overlap no other's core.

    Args:
        order: Flat numbers of the pixels that are tried as centres, `(n,)`.
        kinds: Which particle is tried at each of them, `(n,)`.
        shapes: Pixels of each kind.
        cores: Pixels of each kind's core; every one holds the centre itself.
        shape: Pixels along each axis of the periodic image.
        wanted: Pixels to be covered; no particle is added that would miss this number by more than without it.

    Returns:
        1 where a particle is, else 0, of the image's shape; and the number of particles, at least one.
    """
    edges = np.array([*shape, 1, 1][:3])
    image = np.zeros(int(edges.prod()), dtype=np.uint8)
    count = _pack(order, kinds, shapes.offsets, shapes.starts, cores.offsets, cores.starts, edges, image, float(wanted))
    return image.reshape(shape), count


@_compiled
def _pack(
    order: NDArray[np.int64],
    kinds: NDArray[np.int64],
    offsets: NDArray[np.int64],
    starts: NDArray[np.int64],
    core_offsets: NDArray[np.int64],
    core_starts: NDArray[np.int64],
    edges: NDArray[np.int64],
    image: NDArray[np.uint8],
    wanted: float,
) -> int:
    taken = np.zeros(len(image), dtype=np.bool_)
    covered, count = 0, 0
    for position in range(len(order)):
        centre, kind = order[position], kinds[position]
        free = not taken[centre]
        for m in range(core_starts[kind], core_starts[kind + 1]):
            if not free:
                break
            free = not taken[_moved(centre, core_offsets[m], edges)]
        if not free:
            continue
        new = 0
        for m in range(starts[kind], starts[kind + 1]):
            new += 1 - image[_moved(centre, offsets[m], edges)]
        if count > 0 and covered + new / 2 > wanted:
            break
        for m in range(starts[kind], starts[kind + 1]):
            image[_moved(centre, offsets[m], edges)] = 1
        for m in range(core_starts[kind], core_starts[kind + 1]):
            taken[_moved(centre, core_offsets[m], edges)] = True
        covered += new
        count += 1
    return count


@_compiled
def _moved(centre: int, offset: NDArray[np.int64], edges: NDArray[np.int64]) -> int:
    """Flat number of the pixel at an offset, periodic."""
    i = (centre // (edges[1] * edges[2]) + offset[0]) % edges[0]
    j = (centre // edges[2] + offset[1]) % edges[1]
    k = (centre + offset[2]) % edges[2]
    return (i * edges[1] + j) * edges[2] + k


@_compiled
def grow_bricks(
    seeds: NDArray[np.int64], sizes: NDArray[np.int64], shape: tuple[int, ...], gap: int, least: int
) -> NDArray[np.int64]:
    """Grows rectangles from seed pixels, one after the other, in a periodic image.

    Args:
        seeds: Flat numbers of pixels, in the order in which they are tried, `(n,)`.
        sizes: Largest number of pixels of each rectangle along x and y, `(n, 2)`.
        shape: Pixels along x and y.
        gap: Pixels that stay bare between two rectangles.
        least: Pixels along each axis that a rectangle has to reach, or its own largest number where that is smaller;
            where there is no room for it, none is placed.

    Returns:
        Number of the rectangle that has each pixel, -1 for none, `shape`.
    """
    owner = np.full(shape, -1, dtype=np.int64)
    for n in range(len(seeds)):
        i, j = seeds[n] // shape[1], seeds[n] % shape[1]
        low, high = np.array([i, j]), np.array([i, j])
        if not _bare(owner, low - gap, high + gap):
            continue
        growing = True
        while growing:
            growing = False
            for axis in range(2):
                for side in range(2):
                    if high[axis] - low[axis] + 1 >= min(sizes[n, axis], shape[axis] - gap):
                        continue
                    # The strip that would be new, with the gap around it.
                    first, last = low - gap, high + gap
                    if side == 0:
                        first[axis], last[axis] = low[axis] - 1 - gap, low[axis] - 1
                    else:
                        first[axis], last[axis] = high[axis] + 1, high[axis] + 1 + gap
                    if _bare(owner, first, last):
                        growing = True
                        if side == 0:
                            low[axis] -= 1
                        else:
                            high[axis] += 1
        if (high - low + 1 < np.minimum(sizes[n], least)).any():
            continue
        for a in range(low[0], high[0] + 1):
            for b in range(low[1], high[1] + 1):
                owner[a % shape[0], b % shape[1]] = n
    return owner


@_compiled
def _bare(owner: NDArray[np.int64], first: NDArray[np.int64], last: NDArray[np.int64]) -> bool:
    for a in range(first[0], last[0] + 1):
        for b in range(first[1], last[1] + 1):
            if owner[a % owner.shape[0], b % owner.shape[1]] >= 0:
                return False
    return True
