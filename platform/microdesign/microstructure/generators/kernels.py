"""Loops compiled with numba: nearest points of a periodic set, and random sequential placement."""

from collections.abc import Callable
from typing import TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

FunctionT = TypeVar("FunctionT", bound=Callable)


def _compiled(function: FunctionT) -> FunctionT:
    # No reordering of sums: the same image on every machine.
    return cast(FunctionT, numba.njit(cache=True, nogil=True)(function))


def nearest_points(
    points: NDArray[np.float64], box: NDArray[np.float64], shape: tuple[int, ...], border: float = 0.0
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Finds the nearest of n points for every pixel of a periodic image: its Voronoi cell.

    Args:
        points: Coordinates `(n, dims)` in the box, dims 2 or 3.
        box: Edge lengths `(dims,)` of the box that the image covers; its scale per axis may differ.
        shape: Pixels along each axis.
        border: Up to which distance in pixels borders of cells are looked for; 0 for none.

    Returns:
        The index of the nearest point, int32 `shape`; and the distance in pixels to the nearest border of its cell, or
        `border` where that is further, float32 `shape`, or an empty array where it is not wanted.
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
    distance = np.empty(tuple(pixels) if border > 0 else (0, 0, 0), dtype=np.float32)
    _search(placed[order], lengths, buckets, order, starts, float(border), owner, distance)
    return owner.reshape(shape), distance.reshape(shape if border > 0 else (0,))


@_compiled
def _search(
    points: NDArray[np.float64],
    lengths: NDArray[np.float64],
    buckets: NDArray[np.int64],
    order: NDArray[np.int64],
    starts: NDArray[np.int64],
    border: float,
    owner: NDArray[np.int32],
    distance: NDArray[np.float32],
) -> None:
    pixels = owner.shape
    widths = lengths / buckets
    step = np.array([lengths[0] / pixels[0], lengths[1] / pixels[1], lengths[2] / pixels[2]])
    longest = max(step[0], step[1]) if pixels[2] == 1 else max(step[0], step[1], step[2])
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
                closest = border
                # The first search is for the nearest point, the second for the borders of its cell.
                for search in range(2 if border > 0 else 1):
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
                                        if search == 1 and point == first:
                                            continue
                                        square = 0.0
                                        for a in range(3):
                                            d = abs(x[a] - points[point, a])
                                            d = min(d, lengths[a] - d)
                                            square += d * d
                                        if search == 0:
                                            if square < nearest:
                                                first, nearest = point, square
                                            continue
                                        far = np.sqrt(nearest) + 2.0 * closest * longest
                                        if square >= far * far:
                                            continue
                                        # |x - p|^2 - |x - q|^2 is linear in x: over its slope, a distance in pixels.
                                        slope = 0.0
                                        for a in range(3):
                                            p = points[first, a] - x[a]
                                            p -= lengths[a] * np.round(p / lengths[a])
                                            q = points[point, a] - x[a]
                                            q -= lengths[a] * np.round(q / lengths[a])
                                            slope += ((q - p) * step[a]) ** 2
                                        if slope > 0:
                                            closest = min(closest, (square - nearest) / (2.0 * np.sqrt(slope)))
                        # What was not visited is at least this far along an axis that has buckets left.
                        reach = np.inf
                        for a in range(3):
                            if ring < high[a]:
                                reach = min(reach, (ring + gap[a]) * widths[a])
                        # A border at the distance b is with a point at most 2 b further away than the nearest.
                        wanted = np.sqrt(nearest) + (2.0 * closest * longest if search == 1 else 0.0)
                        if wanted <= reach:
                            break
                owner[i, j, k] = order[first]
                if border > 0:
                    distance[i, j, k] = closest


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


def pack(
    order: NDArray[np.int64], kinds: NDArray[np.int64], shapes: list[NDArray[np.int64]], shape: tuple[int, ...]
) -> NDArray[np.int64]:
    """Random sequential addition: places particles at pixels in a given order wherever all their pixels are free.

    Args:
        order: Flat numbers of the pixels that are tried as centres, `(n,)`.
        kinds: Which particle is tried at each of them, `(n,)`.
        shapes: Offsets of each kind's pixels from its centre, `(m, dims)`; every one holds the centre itself.
        shape: Pixels along each axis of the periodic image.

    Returns:
        Positions in `order` of the particles that are placed, ascending.
    """
    offsets = np.concatenate(shapes)
    starts = np.cumsum([0, *(len(each) for each in shapes)])
    # Planes and volumes alike: an image has a third axis of one pixel.
    full = np.zeros((len(offsets), 3), dtype=np.int64)
    full[:, : len(shape)] = offsets
    edges = np.array([*shape, 1, 1][:3])
    return _pack(order, kinds.astype(np.int64), full, starts, edges)


@_compiled
def _pack(
    order: NDArray[np.int64],
    kinds: NDArray[np.int64],
    offsets: NDArray[np.int64],
    starts: NDArray[np.int64],
    edges: NDArray[np.int64],
) -> NDArray[np.int64]:
    taken = np.zeros((edges[0], edges[1], edges[2]), dtype=np.bool_)
    placed = np.empty(len(order), dtype=np.int64)
    count = 0
    for position in range(len(order)):
        flat = order[position]
        i, j, k = flat // (edges[1] * edges[2]), flat // edges[2] % edges[1], flat % edges[2]
        if taken[i, j, k]:
            continue
        first, last = starts[kinds[position]], starts[kinds[position] + 1]
        free = True
        for m in range(first, last):
            a, b, c = (i + offsets[m, 0]) % edges[0], (j + offsets[m, 1]) % edges[1], (k + offsets[m, 2]) % edges[2]
            if taken[a, b, c]:
                free = False
                break
        if not free:
            continue
        for m in range(first, last):
            a, b, c = (i + offsets[m, 0]) % edges[0], (j + offsets[m, 1]) % edges[1], (k + offsets[m, 2]) % edges[2]
            taken[a, b, c] = True
        placed[count] = position
        count += 1
    return placed[:count]


@_compiled
def grow_bricks(
    seeds: NDArray[np.int64], sizes: NDArray[np.int64], shape: tuple[int, ...], gap: int
) -> NDArray[np.int64]:
    """Grows rectangles from seed pixels, one after the other, in a periodic image.

    Args:
        seeds: Flat numbers of pixels, in the order in which they are tried, `(n,)`.
        sizes: Largest number of pixels of each rectangle along x and y, `(n, 2)`.
        shape: Pixels along x and y.
        gap: Pixels that stay bare between two rectangles.

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
