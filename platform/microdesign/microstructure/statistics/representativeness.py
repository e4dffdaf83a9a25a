"""How representative windows of an image are: the spread of what is measured in them, by the size of the window.

Of a quantity Z that is measured in windows of volume V (pixels), the variance over the windows falls as D^2(V) = K / V
where V is large beside the features, and the relative error of the mean of N windows is 2 D(V) / (mean sqrt(N)) (Kanit,
Forest, Galliet, Mounoury and Jeulin, Int. J. Solids Struct. 40, 3647, 2003). Of a volume fraction phi the constant is
K = phi (1 - phi) A with the integral range A.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microdesign.core.errors import InputError
from microdesign.microstructure.data.sizes import with_unit
from microdesign.microstructure.statistics.two_point import inner_radial_two_point
from microdesign.microstructure.windows.regions import cut, split_regions

TOLERANCE = 0.1
"""Relative error at which a quantity counts as settled."""
PARTS = (8, 4, 2)
"""Parts of the image's shortest side that the sizes of the windows are."""
CORRELATED = 0.1
"""Autocovariance, over that at offset 0, below which pixels count as not correlated."""
FEATURES = 4
"""Ranges of correlation that a window of the recommended size holds along each axis."""
SMALLEST = 8
"""Pixels along each axis of the smallest windows that say something."""
_STEP, _LEAST = 16, 32
"""Recommended sizes are multiples of 16 and 32 at least, which the pretrained model draws."""
_SHARES = (0.8, 0.1, 0.1)

Measure = Callable[[NDArray[np.uint8]], Mapping[str, NDArray[np.float64]]]
"""From windows `(n, *N)` to quantities `(n,)` by name."""


def representativeness_of(
    labels: NDArray[np.uint8], n_phases: int, measure: Measure | None = None, tolerance: float = TOLERANCE
) -> dict[str, Any]:
    """Returns the spread of quantities over windows of an image as JSON values.

    Example:
        >>> stream = np.random.default_rng(0)
        >>> noise = stream.integers(0, 2, (256, 256), dtype=np.uint8)
        >>> found = representativeness_of(noise, 2)
        >>> [each["size"] for each in found["sizes"]], found["recommended_size"]
        ([32, 64, 128], 32)
        >>> abs(found["settles"]["fraction 1"]["integral_range"] - 1) < 0.5  # pixels without correlation
        True

    Args:
        labels: Phase labels `(X, Y)` or `(X, Y, Z)`, not taken as periodic.
        n_phases: Number of phases.
        measure: More quantities, such as effective properties; None measures volume fractions and two-point statistics.
        tolerance: Relative error at which a quantity counts as settled.

    Returns:
        - `correlation_range`: Pixels beyond which phases are not correlated;
        - `sizes`: for each size of window `size`, `windows` (their number, side by side) and `quantities`: by name
          `mean`, `std` and `relative` (std / mean). They are `fraction P` of a phase, `two-point P` (the probability
          that both ends of a vector as long as half the correlation range lie in it), and those of `measure`;
        - `settles`: by name the `size` of a single window whose relative error is the tolerance;
          `windows_of_recommended`, how many windows of the recommended size have that error together; `error_of_image`,
          the relative error of the whole image; and of fractions the `integral_range` in pixels;
        - `recommended_size` and `reason`.

    Raises:
        InputError: The image is too small, of one phase, or the tolerance is out of its range.
    """
    if not 0 < tolerance < 1:
        raise InputError(f"tolerance = {tolerance} is out of range; expected above 0 and below 1.")
    side, dims = min(labels.shape), labels.ndim
    sizes = [side // part for part in PARTS]
    if sizes[0] < SMALLEST:
        raise InputError(
            f"has {with_unit(labels.shape)}; expected at least {PARTS[0] * SMALLEST} along each "
            f"axis, for windows of 1/{PARTS[0]} of the image."
        )
    if (labels == labels.flat[0]).all():
        raise InputError(f"holds one phase alone (label {labels.flat[0]}); expected two phases or more.")
    phases = range(1 if n_phases == 2 else 0, n_phases)
    reach = _correlation_range(labels, sizes[1], phases)
    lag = max(1, round(reach / 2))
    rows = []
    for size in sizes:
        values: dict[str, list[NDArray[np.float64]]] = {}
        for part in _parts(labels, size):
            for name, found in (_measured(part, phases, lag) | dict(measure(part) if measure else {})).items():
                values.setdefault(name, []).append(found)
        columns = {name: np.concatenate(found) for name, found in values.items()}
        rows.append({"size": size, "windows": _count(labels.shape, size), "quantities": _spreads(columns)})
    recommended, reason = _recommended(rows, labels.shape, reach, tolerance)
    names = list(rows[0]["quantities"])
    return {
        "shape": list(labels.shape),
        "tolerance": tolerance,
        "correlation_range": reach,
        "two_point_offset": lag,
        "sizes": rows,
        "settles": {name: _settles(name, rows, labels.size, dims, recommended, tolerance) for name in names},
        "recommended_size": recommended,
        "reason": reason,
    }


def _parts(labels: NDArray[np.uint8], size: int) -> Iterator[NDArray[np.uint8]]:
    """Windows side by side, a few million pixels at a time."""
    axes = [range(0, pixels - size + 1, size) for pixels in labels.shape]
    corners = [
        tuple(int(i) for i in each) for each in np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(axes))
    ]
    length = max(1, 2**22 // size**labels.ndim)
    for start in range(0, len(corners), length):
        yield cut(labels, corners[start : start + length], size)


def _count(shape: Sequence[int], size: int) -> int:
    return math.prod(pixels // size for pixels in shape)


def _measured(windows: NDArray[np.uint8], phases: range, lag: int) -> dict[str, NDArray[np.float64]]:
    flat = windows.reshape(len(windows), -1)
    fractions = {f"fraction {phase}": (flat == phase).mean(axis=1) for phase in phases}
    found = {f"two-point {phase}": np.empty(len(windows)) for phase in phases}
    for number, window in enumerate(windows):
        for phase, curve in zip(phases, inner_radial_two_point(window, phases, lag), strict=True):
            found[f"two-point {phase}"][number] = curve[lag]
    return fractions | found


def _correlation_range(labels: NDArray[np.uint8], size: int, phases: range) -> int:
    """Pixels from which on the autocovariance of every phase stays small, as far as windows of a size can tell."""
    curves, fractions = [], []
    for part in _parts(labels, size):
        curves += [inner_radial_two_point(window, phases, size // 2 - 1) for window in part]
        fractions += [[(window == phase).mean() for phase in phases] for window in part]
    # The fractions are those of the image: each window's own would make long offsets seem uncorrelated.
    phi = np.mean(fractions, axis=0)[:, None]
    covariance = (np.mean(curves, axis=0) - phi**2) / np.maximum(phi - phi**2, 1e-12)
    far = np.flatnonzero((np.abs(covariance) > CORRELATED).any(axis=0))
    return int(far[-1]) + 1 if len(far) else 1


def _spreads(columns: Mapping[str, NDArray[np.float64]]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for name, values in columns.items():
        known = values[np.isfinite(values)]
        if len(known) < 2:
            found[name] = {"mean": None, "std": None, "relative": None, "known": len(known)}
            continue
        mean, std = float(known.mean()), float(known.std(ddof=1))
        relative = std / abs(mean) if mean else None
        found[name] = {"mean": mean, "std": std, "relative": relative, "known": len(known)}
    return found


def _settles(
    name: str, rows: Sequence[dict[str, Any]], pixels: int, dims: int, recommended: int, tolerance: float
) -> dict[str, Any]:
    """Fits D^2(V) = K / V to the sizes, each with the weight of its degrees of freedom, and reads it."""
    entries = [(row["size"] ** dims, row["quantities"][name]) for row in rows]
    known = [(volume, each) for volume, each in entries if each["std"] is not None and each["mean"]]
    if not known:
        return {"size": None, "windows_of_recommended": None, "error_of_image": None}
    weights = np.array([each["known"] - 1 for _, each in known], float)
    constant = float(np.average([each["std"] ** 2 * volume for volume, each in known], weights=weights))
    mean = known[-1][1]["mean"]
    relative = 4 * constant / mean**2  # the square of the relative error, times the volume
    found: dict[str, Any] = {
        "size": math.ceil((relative / tolerance**2) ** (1 / dims)),
        "windows_of_recommended": math.ceil(relative / tolerance**2 / recommended**dims),
        "error_of_image": math.sqrt(relative / pixels),
    }
    if name.startswith("fraction"):
        found["integral_range"] = constant / (mean * (1 - mean))
    return found


def _recommended(rows: Sequence[dict[str, Any]], shape: Sequence[int], reach: int, tolerance: float) -> tuple[int, str]:
    """The smallest size that holds the features and in which means agree with those in the largest windows."""
    wanted, reason = FEATURES * reach, f"{FEATURES} times the range of correlation, {reach} pixels"
    last = rows[-1]["quantities"]
    for row in rows[-2::-1]:
        for name, each in row["quantities"].items():
            if each["mean"] is None or not last[name]["mean"] or row["size"] < wanted:
                continue
            # More than chance: two standard errors of both means.
            error = 2 * math.hypot(
                each["std"] / math.sqrt(each["known"]), last[name]["std"] / math.sqrt(last[name]["known"])
            )
            off = abs(each["mean"] - last[name]["mean"])
            if off > max(tolerance * abs(last[name]["mean"]), error):
                larger = min(other["size"] for other in rows if other["size"] > row["size"])
                if larger > wanted:
                    wanted, reason = (
                        larger,
                        f"in smaller windows the mean of {name} differs by {off / abs(last[name]['mean']):.0%}",
                    )
    size = max(_LEAST, math.ceil(wanted / _STEP) * _STEP)
    fits = [n for n in range(_STEP, min(shape) + 1, _STEP) if split_regions(shape, n, n // 2, _SHARES)]
    largest = fits[-1] if fits else min(shape) // 2
    if size > largest:
        return largest, f"the largest that the image has room for; {size} would be better: {reason}"
    return size, reason
