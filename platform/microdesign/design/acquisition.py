"""Which of many decoded latents promise most: a Gaussian process of what the regressor gets wrong, and its acquisition.

The process models, per property of the target, physics minus prediction over the latent; what is asked is a function of
prediction plus residual: a composite objective, far better than a process of the distance itself.

Shapes: n observations, M choices, D latent, P properties of the target.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
from botorch.acquisition.multi_objective.objective import MCMultiOutputObjective
from botorch.acquisition.objective import MCAcquisitionObjective
from botorch.exceptions.warnings import InputDataWarning
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.models.transforms.input import ChainedInputTransform, FilterFeatures, Normalize
from botorch.optim import optimize_acqf_discrete
from botorch.sampling import SobolQMCNormalSampler
from gpytorch.mlls import ExactMarginalLogLikelihood
from linear_operator.utils.warnings import NumericalWarning
from torch import Tensor

from microdesign.design.sampling import Strata
from microdesign.design.targets import Target

_SAMPLES = 128
_RESIDUAL = 0.03
"""Usual size of a residual, relative to the property."""
_PENALTY = 10.0
"""What a relative error beyond the tolerance costs, in spreads of the objective."""


class ResidualProcess:
    """Gaussian process of physics minus prediction.

    Args:
        z: Latents of the observations, `(n, D)`.
        predicted: What the regressor says of them, `(n, P)`; where it says nothing (NaN) the process models all.
        verified: What physics says, `(n, P)`.
        target: What to reach.
        strata: Where latents lie: they scale the process's lengths.

    One observation is enough: then its residual is expected everywhere.
    """

    def __init__(
        self, z: np.ndarray, predicted: np.ndarray, verified: np.ndarray, target: Target, strata: Strata
    ) -> None:
        self._target, self._z, self._verified = target, z, verified
        self._level = verified.mean(0)
        self._inputs = self._with_predictions(z, predicted)
        residual = torch.from_numpy(verified) - self._inputs[:, z.shape[1] :]
        # Relative to the level, not to the spread of what may be a single observation.
        self._scale = torch.from_numpy(_RESIDUAL * np.abs(verified).mean(0)).clamp_min(1e-12)
        extent = np.stack([(strata.mean - 3 * strata.std).min(0), (strata.mean + 3 * strata.std).max(0)])
        transform = ChainedInputTransform(
            latent=FilterFeatures(feature_indices=torch.arange(z.shape[1])),
            unit=Normalize(d=z.shape[1], bounds=torch.from_numpy(extent)),
        )
        with small_algebra():
            self._model = SingleTaskGP(
                self._inputs, residual / self._scale, input_transform=transform, outcome_transform=None
            )
            mll = ExactMarginalLogLikelihood(self._model.likelihood, self._model)
            fit_gpytorch_mll(mll, optimizer_kwargs={"options": {"maxiter": 50}})

    def expected(self, z: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """Prediction plus expected residual, `(M, P)`."""
        inputs = self._with_predictions(z, predicted)
        with small_algebra(), torch.no_grad():
            return (inputs[:, z.shape[1] :] + self._scale * self._model.posterior(inputs).mean).numpy()

    def choose(
        self,
        baseline: np.ndarray,
        pending: tuple[np.ndarray, np.ndarray] | None,
        choices: tuple[np.ndarray, np.ndarray],
        count: int,
        seed: int,
    ) -> np.ndarray:
        """Indices of the `count` choices that promise the largest improvement on some of the observations together.

        One batch of qLogNEI, or of qLogNEHVI where several things are to be maximised.

        Args:
            baseline: Indices of the observations to improve on.
            pending: Latents and predictions of designs that wait for physics.
            choices: Latents `(M, D)` and predictions `(M, P)` to choose from.
            count: How many to choose.
            seed: Of the acquisition's samples.
        """
        if not len(choices[0]):
            return np.array([], int)
        inputs = self._with_predictions(*choices)
        settings: dict[str, Any] = {
            "X_baseline": self._inputs[torch.from_numpy(baseline)],
            "sampler": SobolQMCNormalSampler(torch.Size([_SAMPLES]), seed=seed),
            "X_pending": None if pending is None or not len(pending[0]) else self._with_predictions(*pending),
            "prune_baseline": True,
        }
        with small_algebra():
            torch.manual_seed(seed)
            acquisition: Any
            if self._target.senses.astype(bool).sum() > 1:
                worst = self._utilities(self._verified[baseline])
                reference = (worst.min(0) - 0.1 * np.ptp(worst, axis=0)).tolist()
                acquisition = qLogNoisyExpectedHypervolumeImprovement(
                    self._model, ref_point=reference, objective=_Several(self), **settings
                )
            else:
                acquisition = qLogNoisyExpectedImprovement(self._model, objective=_One(self), **settings)
            chosen, _ = optimize_acqf_discrete(acquisition, q=min(count, len(inputs)), choices=inputs, unique=True)
        return np.array([int((inputs == row).all(-1).nonzero()[0, 0]) for row in chosen])

    def utilities(self, residuals: Tensor, inputs: Tensor) -> Tensor:
        """What there is to maximise, `(..., M)`, for scaled residuals `(..., P)` at inputs `(..., D + P)`."""
        values = (self._scale * residuals + inputs[..., -residuals.shape[-1] :]).detach().numpy()
        return torch.from_numpy(self._utilities(values.reshape(-1, values.shape[-1]))).view(*values.shape[:-1], -1)

    def _utilities(self, values: np.ndarray) -> np.ndarray:
        errors = self._target.errors(values)[:, None]
        objectives = self._target.objectives(values)
        if not objectives.shape[1]:
            return -errors
        spread = np.maximum(np.std(self._target.objectives(self._verified), axis=0), 1e-12)
        return objectives / spread - _PENALTY * np.maximum(errors - self._target.tolerance, 0)

    def _with_predictions(self, z: np.ndarray, predicted: np.ndarray) -> Tensor:
        """Latents and predictions, `(n, D + P)` float64: the process sees the first, the objective both."""
        return torch.from_numpy(np.concatenate((z, np.where(np.isnan(predicted), self._level, predicted)), axis=1))


class _One(MCAcquisitionObjective):
    def __init__(self, process: ResidualProcess) -> None:
        super().__init__()
        self._process = process

    def forward(self, samples: Tensor, X: Tensor | None = None) -> Tensor:
        return self._process.utilities(samples, X)[..., 0] if X is not None else samples[..., 0]


class _Several(MCMultiOutputObjective):
    def __init__(self, process: ResidualProcess) -> None:
        super().__init__()
        self._process = process

    def forward(self, samples: Tensor, X: Tensor | None = None) -> Tensor:
        return self._process.utilities(samples, X) if X is not None else samples


@contextmanager
def small_algebra() -> Iterator[None]:
    """On one thread, for a second makes it four times slower; without warnings of what the library mends itself."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=NumericalWarning)
            warnings.filterwarnings("ignore", category=InputDataWarning)
            warnings.filterwarnings("ignore", message="Sparse invariant checks")
            yield
    finally:
        torch.set_num_threads(threads)
