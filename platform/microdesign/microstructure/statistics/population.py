"""How alike images are to a population: a material, a class, a data set.

The one measure of likeness: novelty and distinctness are by `difference`, realism and `similar_to` by `Population`.

Likeness is conditional on the volume fractions, for these are set by a target: "this material with less of phase 1" is
a fair wish. Descriptors are compared with what the population has at the image's fractions by linear regression; where
it has no such fractions the spread grows (a prediction interval). Shapes: n, m images, F descriptors, `*N` two or three
spatial axes.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from microdesign.core.errors import InputError
from microdesign.microstructure.statistics.descriptors import Descriptors, describe, lags_of

Features = Callable[[NDArray], NDArray[np.float64]]
"""Learned features of images `(n, *N)`, `(n, F)`, such as an encoder's latents."""
LEAST_MEMBERS = 9
"""Members below which a population is of smaller windows, and a class is joined with others."""
MOST_MEMBERS = 1000
_LEAST_CLASS = 16
"""Members below which a class is joined with others."""
_QUANTILE = 0.95
_LEAST_THRESHOLD = 1.0
"""What members reach whose descriptors have the least spread: below, they are alike to rounding."""
_FOLDS = 20
_SHRINKAGE = 0.1
_LEAST_SPREAD = 0.5
"""Least spread of a descriptor in its usual one: some are constant in a population, as Euler numbers of stripes."""
_FRACTION_PRIOR = 1.0
"""Weight of the prior of a zero slope in the regression, as squared deviations of logits of the fraction."""
_SMALLEST_WINDOW = 16


@dataclass(frozen=True, eq=False)
class Population:
    """Images to which others are compared, their windows if they are larger or few.

    Attributes:
        shape: Size of the images that `distance` takes, `*N`.
        n_phases: Number of phases.
        members: How many images or windows it was fitted on.
        window: Their size, smaller than `shape` where there were few.
    """

    shape: tuple[int, ...]
    n_phases: int
    members: int
    window: tuple[int, ...]
    _lags: tuple[int, ...] = field(repr=False)
    _spread: NDArray[np.float64] = field(repr=False)
    _features: Features | None = field(repr=False)
    _groups: tuple["_Group", ...] = field(repr=False)

    @classmethod
    def fit(
        cls,
        images: NDArray | Sequence[NDArray],
        n_phases: int = 2,
        *,
        periodic: bool = True,
        shape: tuple[int, ...] | None = None,
        classes: Sequence[str] | None = None,
        features: Features | None = None,
    ) -> Self:
        """Fits a population.

        Example:
            >>> from microdesign.microstructure.generators.registry import generate
            >>> circles = generate("Circles", 40, (32, 32)).labels
            >>> population = Population.fit(circles[:30])
            >>> bool((population.distance(circles[30:]) < 2).all())
            True

        Args:
            images: Phase labels `(n, *N)`, or arrays `(n, *N)` of several sizes. Larger ones than `shape` are cut into
                windows that overlap by half; where there are fewer than nine, the windows have half the edge, and their
                spread is reduced by the root of the number of pixels, as that of a homogeneous material is.
            n_phases: Number of phases.
            periodic: Whether the images tile space; windows do not.
            shape: Size of the images that will be compared; None takes that of the images.
            classes: Name of the class of each image. Each class of 16 members or more is a group of its own: the
                distance is that to the nearest group.
            features: Learned features, which count as much as all descriptors together; needs images of `shape`.

        Raises:
            InputError: There is no image; an image is smaller than `shape`, of one phase or of other phases; or they
                are too few and too small to have nine windows of 16 pixels.
        """
        arrays = [np.asarray(each) for each in ([images] if isinstance(images, np.ndarray) else images)]
        arrays = [each for each in arrays if len(each)]
        if not arrays:
            raise InputError("the population has no images; expected at least one.")
        shape = tuple(arrays[0].shape[1:]) if shape is None else shape
        names = list(classes) if classes is not None else [""] * sum(map(len, arrays))
        for each in arrays:
            _refuse_unfit(each, shape, n_phases)
        window = _window(arrays, shape)
        if features is not None and window != shape:
            raise InputError(
                f"learned features need images of {_size(shape)} pixels, {LEAST_MEMBERS} at least, or larger ones."
            )
        lags = lags_of(window)
        pieces: list[NDArray] = []
        described: list[Descriptors] = []
        owners: list[NDArray[np.int64]] = []
        wholes: list[Descriptors] = []
        for first, each in zip(np.cumsum([0, *map(len, arrays)]).tolist(), arrays, strict=False):
            whole = each.shape[1:] == window
            cut, owner = (each, np.arange(len(each))) if whole else _windows(each, window)
            pieces.append(cut)
            described.append(describe(cut, n_phases, periodic and whole, lags))
            owners.append(first + owner)
            wholes += [] if window == shape else [describe(each, n_phases, periodic, lags)]
        joined = _joined(described)
        cut, owner = np.concatenate(pieces), np.concatenate(owners)
        # A window of one phase says little; where all are, so are the images.
        usable = np.flatnonzero(~joined.one_phase)
        if len(usable) > MOST_MEMBERS:
            usable = np.sort(np.random.default_rng(0).permutation(usable)[:MOST_MEMBERS])
        if len(usable) < 2:
            raise InputError(f"the population has {len(usable)} windows of several phases; expected more, or larger.")
        values = _with_features(joined, joined.spread, None if features is None else features(cut))
        groups = tuple(
            _Group.fit(values[rows], joined.fractions[rows]) for rows in _grouped(usable, [names[i] for i in owner])
        )
        if wholes:
            # What windows scatter about, images do with less spread, and without the windows' edges.
            images_of = _joined(wholes)
            areas = sum(len(each) * math.prod(each.shape[1:]) for each in arrays)
            scale = math.sqrt(math.prod(window) / math.prod(shape))
            points = _with_features(images_of, joined.spread), images_of.fractions, areas / math.prod(shape)
            groups = tuple(group.of_larger(*points, scale) for group in groups)
        return cls(shape, n_phases, len(usable), window, lags, joined.spread, features, groups)

    def distance(self, images: NDArray, periodic: bool = True) -> NDArray[np.float64]:
        """Returns how far images `(n, *N)` are from the population, `(n,)`; infinite for images of one phase.

        In units of the threshold: 95 % of the population's own members are within 1 when they are left out of it.

        Args:
            images: Phase labels of the population's `shape`.
            periodic: Whether they tile space; windows do not.

        Raises:
            InputError: The images are not of `shape`.
        """
        if tuple(images.shape[1:]) != self.shape:
            raise InputError(
                f"images of {_size(images.shape[1:])} pixels cannot be compared; the population is for "
                f"{_size(self.shape)} pixels."
            )
        described = describe(images, self.n_phases, periodic, self._lags)
        found = np.full(len(images), np.inf)
        usable = np.flatnonzero(~described.one_phase)
        if len(usable):
            features = None if self._features is None else self._features(images[usable])
            part = Descriptors(described.values[usable], described.fractions[usable], *described[2:])
            values = _with_features(part, self._spread, features)
            found[usable] = np.min([group.distance(values, part.fractions) for group in self._groups], axis=0)
        return found


@dataclass(frozen=True, eq=False)
class _Group:
    """A Gaussian of standardised descriptors given the logits of the fractions.

    Attributes:
        mean: `(F,)`.
        center: Mean logits, `(C,)`.
        slope: `(C, F)`.
        leverage: Inverse of the logits' scatter with the prior, `(C, C)`.
        count: Members, by which the mean is uncertain.
        whiten: Maps residuals to unit variance, `(F, F)`.
        threshold: The 95 % quantile of the members' distances when they are left out.
    """

    mean: NDArray[np.float64]
    center: NDArray[np.float64]
    slope: NDArray[np.float64]
    leverage: NDArray[np.float64]
    count: float
    whiten: NDArray[np.float64]
    threshold: float = 1.0

    @classmethod
    def fit(cls, values: NDArray, fractions: NDArray) -> Self:
        """Fits values `(n, F)`, in units of their usual spread, and logits `(n, C)`."""
        whole = cls._of(values, fractions)
        count = min(len(values), _FOLDS)
        fold = np.random.default_rng(0).permutation(len(values)) % count
        left_out = np.zeros(len(values))
        for number in range(count):
            out = fold == number
            left_out[out] = cls._of(values[~out], fractions[~out]).distance(values[out], fractions[out])
        threshold = float(np.quantile(left_out, _QUANTILE))
        return replace(whole, threshold=max(threshold, _LEAST_THRESHOLD))

    def of_larger(self, values: NDArray, fractions: NDArray, count: float, scale: float) -> Self:
        """The same about the mean of larger images, whose area is `count` of those to compare, with less spread."""
        moved = {"mean": values.mean(0), "center": fractions.mean(0)}
        return replace(self, **moved, count=count, whiten=self.whiten / scale)

    @classmethod
    def _of(cls, values: NDArray, fractions: NDArray) -> Self:
        mean, center = values.mean(0), fractions.mean(0)
        logits = fractions - center
        leverage = np.linalg.inv(logits.T @ logits + _FRACTION_PRIOR * np.eye(logits.shape[1]))
        slope = leverage @ logits.T @ (values - mean)
        residual = values - mean - logits @ slope
        spread = np.maximum(np.sqrt((residual**2).mean(0)), _LEAST_SPREAD)
        standard = residual / spread
        covariance = (1 - _SHRINKAGE) * standard.T @ standard / len(values) + _SHRINKAGE * np.eye(len(spread))
        whiten = np.linalg.inv(np.linalg.cholesky(covariance)).T / spread[:, None]
        return cls(mean, center, slope, leverage, len(values), whiten)

    def distance(self, values: NDArray, fractions: NDArray) -> NDArray[np.float64]:
        """Root mean square of the whitened residuals of values `(n, F)`, in units of the threshold, `(n,)`."""
        logits = fractions - self.center
        residual = (values - self.mean - logits @ self.slope) @ self.whiten
        growth = 1 + 1 / self.count + np.einsum("ij,jk,ik->i", logits, self.leverage, logits)
        return np.sqrt((residual**2).mean(1) / growth) / self.threshold


def _with_features(described: Descriptors, spread: NDArray, features: NDArray | None = None) -> NDArray[np.float64]:
    """Descriptors in units of their usual spread `(F,)`, and features."""
    values = described.values / spread
    return values if features is None else np.concatenate((values, features), axis=1)


def _refuse_unfit(images: NDArray, shape: tuple[int, ...], n_phases: int) -> None:
    if images.ndim != len(shape) + 1 or any(n < wanted for n, wanted in zip(images.shape[1:], shape, strict=True)):
        raise InputError(
            f"the population's images have {_size(images.shape[1:])} pixels; expected at least {_size(shape)}, as "
            "the images to compare."
        )
    if images.max(initial=0) >= n_phases:
        raise InputError(f"the population has labels up to {images.max()}; expected phases 0 to {n_phases - 1}.")
    flat = images.reshape(len(images), -1)
    alike = np.flatnonzero((flat == flat[:, :1]).all(1))
    if len(alike):
        raise InputError(f"image {alike[0]} of the population is of one phase; expected images of at least two.")


def _window(arrays: Sequence[NDArray], shape: tuple[int, ...]) -> tuple[int, ...]:
    """The largest window, `shape` or halves of it, of which the images hold enough.

    Raises:
        InputError: There is none of 16 pixels.
    """
    window = shape
    while sum(len(a) * len(_corners(a.shape[1:], window)) for a in arrays) < LEAST_MEMBERS:
        window = tuple(w // 2 for w in window)
        if min(window) < _SMALLEST_WINDOW:
            raise InputError(
                f"the population's images are too few or too small, {sum(map(len, arrays))} of "
                f"{_size(arrays[0].shape[1:])} pixels; expected {LEAST_MEMBERS} windows of {_SMALLEST_WINDOW} pixels."
            )
    return window


def _windows(images: NDArray, window: tuple[int, ...]) -> tuple[NDArray, NDArray[np.int64]]:
    """Windows of each image that overlap by half, `(m, *window)`, and the image of each."""
    corners = _corners(images.shape[1:], window)
    cut = [images[(slice(None), *(slice(a, a + w) for a, w in zip(c, window, strict=True)))] for c in corners]
    return np.concatenate(cut), np.tile(np.arange(len(images)), len(corners))


def _corners(shape: Sequence[int], window: Sequence[int]) -> NDArray[np.int64]:
    """First pixels of windows that overlap by half, `(w, dims)`."""
    starts = [
        np.linspace(0, n - w, max(1, 2 * n // w - 1)).round().astype(int) for n, w in zip(shape, window, strict=True)
    ]
    return np.stack(np.meshgrid(*starts, indexing="ij"), -1).reshape(-1, len(starts))


def _grouped(rows: NDArray[np.int64], names: Sequence[str]) -> list[NDArray[np.int64]]:
    """Rows by class; small classes together, and with the largest where they are still few."""
    by_name: dict[str, list[int]] = {}
    for row in rows.tolist():
        by_name.setdefault(names[row], []).append(row)
    large = [each for each in by_name.values() if len(each) >= _LEAST_CLASS]
    small = [row for each in by_name.values() if len(each) < _LEAST_CLASS for row in each]
    if small and (not large or len(small) >= _LEAST_CLASS):
        large.append(small)
    elif small:
        max(large, key=len).extend(small)
    return [np.array(each) for each in large]


def _joined(described: Sequence[Descriptors]) -> Descriptors:
    values, fractions = (np.concatenate([each[i] for each in described]) for i in (0, 1))
    return Descriptors(values, fractions, *described[0][2:])


def _size(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
