"""The protocol that all physics answers to, and how an evaluator is called so that one bad image costs only itself."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from microdesign.core.errors import EvaluationError, InputError, NotConvergedError
from microdesign.physics.density import DENSITY, with_density
from microdesign.physics.materials import Materials
from microdesign.physics.properties import property_names

Values = dict[str, np.ndarray]
"""Arrays `(n,)` by name: one entry per image."""


@runtime_checkable
class Evaluator(Protocol):
    """Computes the properties of images. An implementation must be picklable, since it travels to Ray tasks.

    Optional attributes describe it further; each may be left out:

    - `batch_size`, int: the most images to give it at a time.
    - `uses_gpu`, bool: true when it computes on a GPU; then `data label` gives each GPU of the cluster a process with
      an evaluator of its own.
    - `tolerance`, float: relative error of its answers. A target with a smaller tolerance is refused at start.
    - `given_properties(materials, dims) -> tuple[str, ...]`: the names of all the properties that it computes. A target
      or a model with another property is refused at start.
    - `for_images(periodic) -> Evaluator`: the same physics for images that repeat, or do not (windows of a scan).
    - `for_spacing(spacing) -> Evaluator`: the same physics for pixels of these edges, which are no squares or cubes;
      without it such images are refused.
    - `alternative`, an `Evaluator`: the same physics by another discretization. The difference between the two is
      reported as the discretization gap of a candidate.

    Example:
        >>> class Fraction:
        ...     fingerprint = "volume fraction, 1"
        ...
        ...     def evaluate(self, images, materials):
        ...         return {"phi": images.mean((1, 2))}
    """

    @property
    def fingerprint(self) -> str:
        """Digest of everything that the answer depends on besides images and materials."""
        ...

    def evaluate(self, images: np.ndarray, materials: Materials) -> Values:
        """Returns the properties of `images`, each as float array `(n,)`.

        The images are phase labels uint8 `(n, X, Y)`, or `(n, X, Y, Z)` of volumes. It may also return `error`, strings
        `(n,)`: empty, or why an image has NaN. NaN without an error is a value that is not defined for the image; an
        image without any value has failed. If it raises instead, the images are given to it again one by one.

        Raises:
            EvaluationError: It cannot answer for an image that is itself valid.
            NotConvergedError: It stopped short of its tolerance for an image; `best` has the values reached.
        """
        ...


def given_properties(evaluator: Evaluator, materials: Materials, dims: int = 2) -> tuple[str, ...] | None:
    """Returns the names of the properties that an evaluator declares, and `density` if the phases state densities.

    None if it declares none.
    """
    given = getattr(evaluator, "given_properties", None)
    if given is None:
        return None
    return tuple(dict.fromkeys([*given(materials, dims), *([DENSITY] if materials.has_density else [])]))


def for_images(evaluator: Evaluator, periodic: bool, spacing: Sequence[float] = ()) -> Evaluator:
    """Returns the evaluator for images that repeat, or do not; the same one if that makes no difference to it.

    Args:
        evaluator: Any evaluator.
        periodic: Whether the images repeat.
        spacing: Edges of their pixels along each axis, or the ratios of these, where they differ; else empty.

    Raises:
        InputError: The pixels are no squares or cubes, and the evaluator takes no others.
    """
    settle = getattr(evaluator, "for_images", None)
    settled = evaluator if settle is None else settle(periodic)
    if not spacing:
        return settled
    stretch = getattr(settled, "for_spacing", None)
    if stretch is None:
        edges = " x ".join(f"{edge:g}" for edge in spacing)
        raise InputError(f"the images have pixels of {edges}; this evaluator takes squares and cubes alone.")
    return stretch(tuple(spacing))


def evaluate_table(evaluator: Evaluator, images: np.ndarray, materials: Materials, names: Sequence[str]) -> np.ndarray:
    """Returns the properties `names` of images as a table `(n, P)`; NaN where the evaluator has no answer.

    Raises:
        InputError: The evaluator does not give one of the properties.
    """
    if not len(images):
        return np.empty((0, len(names)))
    values = evaluate_each(evaluator, images, materials)
    check_names(values, names)
    return np.stack([values[name] for name in names], axis=1)


def check_evaluator(
    evaluator: Evaluator, images: np.ndarray, materials: Materials, names: Sequence[str], what: str
) -> Values:
    """Evaluates a few images before long work starts; returns their values, as `evaluate_each`.

    Args:
        evaluator: The evaluator.
        images: Phase labels, uint8 `(n, *N)`, of the size that the work is about.
        materials: The phases.
        names: Properties that the work needs.
        what: The setting that names the evaluator, for the error.

    Raises:
        InputError: The evaluator answers for none of the images, or does not give one of the properties.
    """
    values = evaluate_each(evaluator, images, materials)
    errors = values["error"]
    if len(errors) and all(errors):
        size = " x ".join(map(str, images.shape[1:]))
        raise InputError(f"{what} answers for none of {len(errors)} images of {size} pixels; the first: {errors[0]}")
    try:
        check_names(values, names)
    except InputError as error:
        raise InputError(f"{what}: {error}") from None
    return values


def check_names(values: Mapping[str, Any], names: Sequence[str]) -> None:
    """Refuses an evaluator's values that lack a property.

    Raises:
        InputError: They do.
    """
    for name in names:
        if name not in values:
            given = ", ".join(each for each in values if each != "error") or "nothing"
            raise InputError(f"The evaluator gives no '{name}'; it gives {given}.")


def evaluate_each(evaluator: Evaluator, images: np.ndarray, materials: Materials) -> Values:
    """Evaluates images so that one that fails costs only its own row.

    The images go to the evaluator together; if that raises, those that failed go one by one. A row that failed holds
    NaN, and its message stands in the array of strings `error`, which is empty for the others. A value of NaN alone is
    missing: it is not defined for that image. An infinite one, or a row of NaN alone, is a failure. Where the phases
    state densities that of the images is added.
    """
    values = with_density(_evaluate_each(evaluator, images, materials), images, materials)
    if DENSITY in values:
        values[DENSITY] = np.where(values["error"] == "", values[DENSITY], np.nan)
    return values


def _evaluate_each(evaluator: Evaluator, images: np.ndarray, materials: Materials) -> Values:
    n = len(images)
    if n == 0:
        return {"error": np.array([], dtype=str)}
    parts: list[tuple[np.ndarray, Values]] = []
    again = np.arange(n)
    try:
        return _checked(evaluator.evaluate(images, materials), n)
    except Exception as error:
        if n == 1:
            return failed_values(images, materials, f"{type(error).__name__}: {error}")
        if isinstance(error, NotConvergedError) and isinstance(error.best, Mapping) and error.failed:
            again = np.array(error.failed)
            fine = np.setdiff1d(np.arange(n), again)
            values = _checked(error.best, n)
            parts.append((fine, {name: array[fine] for name, array in values.items()}))
    parts += [(np.array([i]), _evaluate_each(evaluator, images[i : i + 1], materials)) for i in again]
    return merge_values(parts, n)


def failed_values(images: np.ndarray, materials: Materials, message: str) -> Values:
    """Returns the values of images that all failed for the same reason."""
    n, names = len(images), property_names(materials, images.ndim - 1)
    return {**{name: np.full(n, np.nan) for name in names}, "error": np.full(n, message)}


def merge_values(parts: Sequence[tuple[np.ndarray, Values]], n: int) -> Values:
    """Puts values of parts of `n` images, given with their indices, together; a value that no part has is NaN."""
    errors = [""] * n
    merged: Values = {}
    for indices, values in parts:
        for name, array in values.items():
            if name == "error":
                for i, message in zip(indices, array, strict=True):
                    errors[i] = str(message)
            else:
                merged.setdefault(name, np.full(n, np.nan))[indices] = array
    return {**merged, "error": np.array(errors)}


def _checked(values: Mapping[str, Any], n: int) -> Values:
    """The values as float64 `(n,)`, with NaN and a message in `error` for images with an infinite value or none."""
    given = values.get("error")
    errors = [""] * n if given is None else [str(message) for message in given]
    if len(errors) != n:
        raise EvaluationError(f"the evaluator returned {len(errors)} entries of error; expected {n}.")
    arrays = {name: np.array(array, dtype=np.float64) for name, array in values.items() if name != "error"}
    for name, array in arrays.items():
        if array.shape != (n,):
            raise EvaluationError(f"the evaluator returned {name} of shape {array.shape}; expected ({n},).")
        for i in np.flatnonzero(np.isinf(array)):
            errors[i] = errors[i] or f"EvaluationError: the evaluator returned {name} = {array[i]}."
    if arrays:
        for i in np.flatnonzero(np.all([np.isnan(array) for array in arrays.values()], axis=0)):
            errors[i] = errors[i] or "EvaluationError: the evaluator returned no value."
    failed = np.array([bool(message) for message in errors])
    for array in arrays.values():
        array[failed] = np.nan
    return {**arrays, "error": np.array(errors)}
