"""The properties at which the prior p(z|c) is asked for designs, when the target does not say all of them.

A bound, an optimum or a property that the model does not have leaves open what the model's own properties shall be.
Then points c* are taken from what is known to exist: the samples of the data set that come closest to the target.

Shapes: N samples, C properties of the model, P of the target.
"""

from collections.abc import Mapping
from contextlib import suppress

import numpy as np

from microdesign.core.config import validate_config
from microdesign.core.errors import InputError
from microdesign.design.target.target import Target
from microdesign.microstructure.data.container import Microstructures, is_known
from microdesign.model.standardization import Standardization
from microdesign.physics.properties import property_values
from microdesign.surrogate.protocol import Surrogate

_MEASURED = 64
"""Images whose constraints are measured at a time, some of which take milliseconds each."""
IMAGINED = 4096
"""Property vectors that are drawn from the model's standardization where there is no data set."""


def conditions(
    target: Target, surrogate: Surrogate, table: Mapping[str, np.ndarray] | None, n: int, seed: int
) -> list[dict[str, float]]:
    """Returns the points c* at which p(z|c) is to be drawn: at least one, at most n, the most promising first.

    One point when the target fixes every property of the model. Otherwise `4 n` samples, drawn from those that meet
    the target or, where there are none or there is an optimum to go for, the best, are thinned to n that lie far apart;
    a property that the target fixes gets its value, and one with bounds is moved within them.

    Args:
        target: What is asked.
        surrogate: The model.
        table: Properties of the training samples by name, each `(N,)`; None draws independent ones instead.
        n: Most points to return.
        seed: Of the draws.
    """
    fixed = target.fixed
    if set(surrogate.properties) <= set(fixed):
        return [{name: fixed[name] for name in surrogate.properties}]
    standardization = _standardization(surrogate)
    known = _imagined(standardization, seed) if table is None else _complete(table, surrogate, target)
    points = np.stack([known[name] for name in surrogate.properties], axis=1)
    promising = _promising(target, _known_columns(target, known), 4 * n, seed)
    chosen = [_moved(dict(zip(surrogate.properties, points[i].tolist(), strict=True)), target) for i in promising]
    places = standardization.forward(np.array([[point[name] for name in surrogate.properties] for point in chosen]))
    return [chosen[i] for i in _spread(places, n)]


def admitted(target: Target, labels: np.ndarray) -> np.ndarray:
    """Indices of the images, labels `(N, ...)`, that keep the target's constraints, of all where none does.

    What they have for properties can be had within the constraints: the largest stiffness of all images is of no use as
    c* where the volume fraction is limited.
    """
    kept = np.flatnonzero(target.admits(labels))
    return kept if len(kept) else np.arange(len(labels))


def best_known(target: Target, data: Microstructures, n: int = 16) -> np.ndarray | None:
    """The n labelled images that keep the constraints and come nearest to a target, `(n, *N)`.

    None where the labels lack a property of the target, and where no image keeps the constraints, unless there is an
    optimum: then they are the best of all.

    Asked for an extreme, or for what no training image has, a model is asked for what it saw least; those that exist
    are the better start.
    """
    try:
        values = target.table(data.properties)
    except InputError:
        return None
    rows = np.flatnonzero(np.isfinite(values).all(1))
    rows = rows[np.argsort(target.ranks(values[rows]), kind="stable")]
    found = np.empty(0, int)
    for start in range(0, len(rows), _MEASURED):
        some = rows[start : start + _MEASURED]
        found = np.concatenate((found, some[target.admits(data.labels[some])]))
        if len(found) >= n:
            break
    if not len(found) and target.senses.any():
        found = rows
    return data.labels[found[:n]] if len(found) else None


def _standardization(surrogate: Surrogate) -> Standardization:
    return validate_config(Standardization, surrogate.describe()["standardization"], "the model's standardization")


def _imagined(standardization: Standardization, seed: int) -> dict[str, np.ndarray]:
    stream = np.random.default_rng([seed, 2])
    points = standardization.inverse(stream.standard_normal((IMAGINED, len(standardization.names))))
    return dict(zip(standardization.names, points.T, strict=True))


def _complete(table: Mapping[str, np.ndarray], surrogate: Surrogate, target: Target) -> dict[str, np.ndarray]:
    """The samples of which the model's and the target's properties are known; others may be missing.

    Where pores cut the solid there is no Poisson's ratio, which need not matter.
    """
    missing = [name for name in surrogate.properties if name not in table]
    if missing:
        raise InputError(f"The data set has no property '{missing[0]}', which the model is conditioned on.")
    names = surrogate.properties
    known = is_known(np.stack([table[name] for name in names], axis=1), names).all(1)
    for name in target.names:
        with suppress(InputError):  # what the data do not have is learned from physics
            known &= np.isfinite(property_values(table, name, target.dims))
    if not known.any():
        raise InputError(
            "The data set has no sample of which the model's and the target's properties are known; label it again."
        )
    return {name: np.asarray(values)[known] for name, values in table.items()}


def _known_columns(target: Target, known: Mapping[str, np.ndarray]) -> np.ndarray:
    """The target's properties `(N, P)`. One that is not known is NaN, which no error counts, or 0 of an optimum."""
    columns = []
    size = len(next(iter(known.values())))
    for name, goal in target.properties.items():
        try:
            columns.append(property_values(known, name, target.dims))
        except InputError:
            columns.append(np.full(size, 0.0 if goal.sense else np.nan))
    return np.stack(columns, axis=1)


def _promising(target: Target, values: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Indices of at most `most` samples with target properties `(N, P)`."""
    met = np.flatnonzero(target.errors(values) <= target.tolerance)
    if len(met) and not target.senses.any() and not target.prefers:
        return np.random.default_rng([seed, 3]).permutation(met)[:most]
    return np.argsort(target.ranks(values), kind="stable")[:most]


def _moved(point: dict[str, float], target: Target) -> dict[str, float]:
    """The point with what the target says of the model's own properties."""
    return {
        name: float(np.clip(value, target.properties[name].low, target.properties[name].high))
        if name in target.properties
        else value
        for name, value in point.items()
    }


def _spread(places: np.ndarray, n: int) -> list[int]:
    """Indices of at most n of the places `(N, C)`, the first and then always the one farthest from those chosen."""
    chosen = [0]
    distance = np.linalg.norm(places - places[0], axis=1)
    while len(chosen) < n and distance.max() > 1e-9:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(places - places[chosen[-1]], axis=1))
    return chosen
