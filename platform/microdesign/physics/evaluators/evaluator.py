"""Evaluators: what a campaign needs of physics, behind one small protocol."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from pydantic import Field

from microdesign.core.config import Config, load_named, validate_config
from microdesign.core.errors import EvaluationError, InputError, NotConvergedError
from microdesign.core.files import digest_json
from microdesign.physics.evaluators.command import CommandEvaluator
from microdesign.physics.materials import Materials
from microdesign.physics.properties import plane_tensor_entries, properties_of, property_names
from microdesign.physics.solver.discretization import Discretization
from microdesign.physics.solver.homogenization import Homogenization, Precision, homogenize

Values = dict[str, np.ndarray]
"""Arrays `(n,)` by name: one entry per image."""

_EXPECTED = "fft, module:name or command: PROGRAM ARGS"
_VERSION = 3
"""Raised whenever a change of the solver changes its answers by more than its tolerance."""


@runtime_checkable
class Evaluator(Protocol):
    """Computes the properties of images. An implementation must be picklable, since it travels to Ray tasks.

    Two optional attributes say how to run it: `batch_size`, the most images to give it at a time, and `uses_gpu`, true
    when it computes on a GPU; then `data label` gives each GPU of the cluster a process with an evaluator of its own.
    """

    @property
    def fingerprint(self) -> str:
        """Digest of everything that the answer depends on besides images and materials."""
        ...

    def evaluate(self, images: np.ndarray, materials: Materials) -> Values:
        """Returns the properties of `images`, each as float array `(n,)`.

        The images are phase labels uint8 `(n, X, Y)`, or `(n, X, Y, Z)` of volumes. It may also return `error`, strings
        `(n,)`: empty, or why an image has NaN. If it raises instead, the images are given to it again one by one.

        Raises:
            EvaluationError: It cannot answer for an image that is itself valid.
            NotConvergedError: It stopped short of its tolerance for an image; `best` has the values reached.
        """
        ...


class FFTEvaluator(Config):
    """The built-in solver: `property_names` of the materials, `iterations` and `error_estimate` (relative).

    Of images also the entries of the tensors, `PLANE_TENSOR_NAMES`.
    """

    discretization: Discretization = "q1"
    """`q1` (MICRO2D's own), `rotated`, `q1bbar` or `fv`."""
    tolerance: float = Field(1e-4, ge=1e-12, le=0.1)
    """Relative error of the effective tensors."""
    precision: Precision = "auto"
    """Floating-point type of the fields."""
    max_iterations: int = Field(2000, ge=1)
    """Iterations after which an image counts as not converged."""
    device: str = Field("cpu", pattern=r"^(cpu|cuda(:\d+)?)$")
    """`cpu`, or `cuda` for the solver of `solver_torch`, which takes the images of a batch together."""

    @property
    def uses_gpu(self) -> bool:
        """Whether it needs a GPU."""
        return self.device != "cpu"

    @property
    def fingerprint(self) -> str:
        """Digest of the solver's name and version and of the settings that change its answer."""
        settings = self.model_dump(mode="json", exclude={"max_iterations", "device"})
        return digest_json({"evaluator": "fft", "version": _VERSION, **settings})

    def evaluate(self, images: np.ndarray, materials: Materials) -> Values:
        """Returns the properties, `iterations` and `error_estimate` of each image or volume, `(n,)`.

        Raises:
            InputError: The images are no images of these materials.
            NotConvergedError: An image did not reach the tolerance; `best` holds the values of all images.
        """
        try:
            return _values(self._homogenize(images, materials), materials)
        except NotConvergedError as error:
            if not isinstance(error.best, Homogenization):
                raise
            failed = np.flatnonzero(~(error.best.error_estimate <= self.tolerance)).tolist()
            raise NotConvergedError(str(error), _values(error.best, materials), failed) from None

    def _homogenize(self, images: np.ndarray, materials: Materials) -> Homogenization:
        settings = {"dims": images.ndim - 1, **self.model_dump(exclude={"device"})}
        if not self.uses_gpu:
            return homogenize(images, materials, **settings)
        # Here, since most evaluations do not need torch, which takes a second to load.
        from microdesign.physics.solver.homogenization_torch import homogenize_batch

        return homogenize_batch(images, materials, device=self.device, **settings)


def load_evaluator(name: str = "fft", settings: Mapping[str, Any] | None = None) -> Evaluator:
    """Returns the evaluator that a string names, made with the settings.

    - `fft`: the built-in solver; settings of `FFTEvaluator` may follow: `fft: tolerance=1e-5 discretization=rotated`.
    - `module:name`: a class or a function that returns an evaluator and takes the settings as keywords, or an
      evaluator itself, which takes none.
    - `command: PROGRAM ARGS`: an external program (`command.CommandEvaluator`).

    Raises:
        InputError: The name cannot be found, does not take the settings, or is no evaluator.
    """
    settings = dict(settings or {})
    kind, separator, rest = (part.strip() for part in name.partition(":"))
    if kind == "fft":
        return validate_config(FFTEvaluator, _options(rest, name) | settings, source=f"evaluator {name!r}")
    if kind == "command" and separator:
        return validate_config(CommandEvaluator, {"command": rest} | settings, source=f"evaluator {name!r}")
    if not separator:
        raise InputError(f"evaluator = {name!r} is unknown; expected {_EXPECTED}.")
    found = load_named(f"{kind}:{rest}", f"evaluator = {name!r}", _EXPECTED)
    if isinstance(found, type) or not isinstance(found, Evaluator):
        if not callable(found):
            raise InputError(f"evaluator = {name!r} is a {type(found).__name__}; expected an evaluator.")
        try:
            found = found(**settings)
        except (TypeError, ValueError) as error:
            raise InputError(f"evaluator = {name!r} does not take its settings ({error}).") from None
    elif settings:
        raise InputError(f"evaluator = {name!r} is already made; it takes no settings, but {sorted(settings)} came.")
    if not isinstance(found, Evaluator):
        raise InputError(f"evaluator = {name!r} is no evaluator; expected a method evaluate and a fingerprint.")
    return found


def evaluate_each(evaluator: Evaluator, images: np.ndarray, materials: Materials) -> Values:
    """Evaluates images so that one that fails costs only its own row.

    The images go to the evaluator together; if that raises, those that failed go one by one. A row that failed holds
    NaN, and its message stands in the array of strings `error`, which is empty for the others. Values that are not
    finite are failures.
    """
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
    parts += [(np.array([i]), evaluate_each(evaluator, images[i : i + 1], materials)) for i in again]
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


def _options(text: str, name: str) -> dict[str, Any]:
    """Reads `key=value key=value`."""
    options: dict[str, Any] = {}
    for word in text.replace(",", " ").split():
        key, separator, value = word.partition("=")
        if not separator:
            raise InputError(f"evaluator = {name!r}: {word!r} has no '='; expected such as fft: tolerance=1e-5.")
        options[key] = value
    return options


def _checked(values: Mapping[str, Any], n: int) -> Values:
    """The values as float64 `(n,)`, with NaN and a message in `error` where one of an image is not finite."""
    given = values.get("error")
    errors = [""] * n if given is None else [str(message) for message in given]
    if len(errors) != n:
        raise EvaluationError(f"the evaluator returned {len(errors)} entries of error; expected {n}.")
    arrays = {name: np.array(array, dtype=np.float64) for name, array in values.items() if name != "error"}
    for name, array in arrays.items():
        if array.shape != (n,):
            raise EvaluationError(f"the evaluator returned {name} of shape {array.shape}; expected ({n},).")
        for i in np.flatnonzero(~np.isfinite(array)):
            errors[i] = errors[i] or f"EvaluationError: the evaluator returned {name} = {array[i]}."
    failed = np.array([bool(message) for message in errors])
    for array in arrays.values():
        array[failed] = np.nan
    return {**arrays, "error": np.array(errors)}


def _values(result: Homogenization, materials: Materials) -> Values:
    return {
        **properties_of(result.stiffness, result.conductivity, materials),
        **_entries(result, materials),
        "iterations": result.iterations.astype(np.float64),
        "error_estimate": result.error_estimate,
    }


def _entries(result: Homogenization, materials: Materials) -> Values:
    """The entries of plane tensors that these phases give."""
    if result.conductivity.shape[-1] != 2:
        return {}
    given = {"C": materials.has_stiffness, "k": materials.has_conductivity}
    entries = plane_tensor_entries(result.stiffness, result.conductivity)
    return {name: values for name, values in entries.items() if given[name[0]]}
