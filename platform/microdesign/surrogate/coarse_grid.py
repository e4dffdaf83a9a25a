"""Multi-fidelity: predictions by an evaluator on a coarser grid, in the place of the regressor's.

Where the regressor was not trained on the phases it is far off, and a grid of half the pixels an edge costs a quarter,
of volumes an eighth, of the full one. Its error is mostly the same for similar designs, and so is learned by the
Gaussian process of the refinement as the regressor's is. Verified values are always those of the full grid. Predictions
run in the process of the campaign, outside its budgets: the built-in solver is fast enough, a slow program is not.

Shapes: n images, P properties, `*N` image or volume.
"""

from collections.abc import Sequence

import numpy as np
import torch

from microdesign.core.errors import InputError
from microdesign.core.properties import is_signed
from microdesign.microstructure.data.indicators import indicators
from microdesign.model.binarization import binarize
from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.evaluators.protocol import Evaluator, Values, evaluate_each
from microdesign.physics.materials import Materials
from microdesign.physics.properties import property_values
from microdesign.surrogate.protocol import Surrogate
from microdesign.surrogate.wrapped import WrappedSurrogate

LEAST_PIXELS = 16
"""Pixels an edge that a coarse grid has at least: with fewer, phases are a pixel wide."""
ERROR = 0.03
"""Relative error of a property for each pixel that becomes one more: on half the grid 2 % at contrast 10, 4 % at 50, on
a quarter 6 % at contrast 10, of images of mixed families."""
LEAST = 0.1
"""Share of the model's prediction that a property has at least: where beside pores necks are lost on the coarse grid it
is 0 there, which has no logarithm."""


def settled_factor(
    asked: int | None, shape: Sequence[int], evaluator: Evaluator, materials: Materials, is_transferred: bool
) -> int:
    """The factor of the coarse grid that predicts; 1 where the model does.

    Of phases that the model was not trained on, half the grid knows several times more than the model does
    (`benchmarks/campaign.md`). It has to be quick, which only the built-in solver is known to be.

    Args:
        asked: What the campaign asks for; None leaves it to this function.
        shape: Pixels of the model's images along each axis.
        evaluator: The physics.
        materials: The phases.
        is_transferred: Whether the model was trained on phases of another contrast.

    Raises:
        InputError: Images or evaluator do not allow the factor that is asked for.
    """
    if asked is not None:
        check_coarse(shape, asked, evaluator, materials)
        return asked
    halved = all(size % 2 == 0 and size // 2 >= LEAST_PIXELS for size in shape)
    return 2 if is_transferred and halved and isinstance(evaluator, FFTEvaluator) else 1


def check_coarse(shape: Sequence[int], factor: int, evaluator: Evaluator, materials: Materials) -> None:
    """Checks that images and evaluator allow a coarse grid; evaluates one small image.

    Raises:
        InputError: They do not; the sentence gives the reason.
    """
    if factor == 1:
        return
    if any(size % factor or size // factor < LEAST_PIXELS for size in shape):
        raise InputError(
            f"coarse_grid = {factor}: images of {_extent(shape)} pixels do not allow it; expected a divisor that "
            f"leaves at least {LEAST_PIXELS} pixels an edge."
        )
    small = [size // factor for size in shape]
    image = (np.indices(small)[0] % 8 < 4).astype(np.uint8)
    error = str(evaluate_each(evaluator, image[None], materials)["error"][0])
    if error:
        raise InputError(f"coarse_grid = {factor}: the evaluator has no answer for {_extent(small)} pixels ({error}).")


def coarsened(labels: np.ndarray, factor: int, phases: int = 2) -> np.ndarray:
    """Images `(n, *N)` on a grid of N / factor pixels an axis, of the same volume fractions each."""
    pool = torch.nn.functional.avg_pool2d if labels.ndim == 3 else torch.nn.functional.avg_pool3d
    return binarize(pool(indicators(torch.from_numpy(np.array(labels, np.uint8)), phases).float(), factor)).numpy()


def _extent(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


class CoarseGrid(WrappedSurrogate):
    """A `Surrogate` that predicts by an evaluator on a coarse grid and, where that fails, by the model; see `LEAST`.

    Args:
        surrogate: The model.
        evaluator: Homogenizes the coarse images.
        materials: The phases.
        factor: Pixels an edge that become one.
    """

    def __init__(self, surrogate: Surrogate, evaluator: Evaluator, materials: Materials, factor: int) -> None:
        super().__init__(surrogate)
        self._evaluator, self._materials, self._factor = evaluator, materials, factor
        network = surrogate.describe()["model"]["network"]
        self._dims, self._phases = network.get("dimensions", 2), network.get("phases", 2)

    @property
    def digest(self) -> str:
        """Identifies the model and the grid."""
        return f"{self._surrogate.digest}/{self._factor}"

    def predict(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Surrogate.predict`."""
        mean, std = self._surrogate.predict(labels)
        if not len(labels):
            return mean, std
        given = evaluate_each(self._evaluator, coarsened(labels, self._factor, self._phases), self._materials)
        coarse = np.stack([_column(given, name, self._dims, len(labels)) for name in self.properties], axis=1)
        answered, error = np.isfinite(coarse), ERROR * (self._factor - 1)
        values, deviation = np.where(answered, coarse, mean), np.where(answered, error * np.abs(coarse), std)
        positive = np.array([not is_signed(name) for name in self.properties], bool)
        lost = positive & (values < LEAST * mean)
        return np.where(lost, LEAST * mean, values), np.where(lost, LEAST * std, deviation)


def _column(values: Values, name: str, dims: int, n: int) -> np.ndarray:
    """A property of n images; NaN where the evaluator does not have it."""
    try:
        return property_values(values, name, dims)
    except InputError:
        return np.full(n, np.nan)
