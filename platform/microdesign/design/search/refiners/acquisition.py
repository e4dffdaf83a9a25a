"""Which of many decoded latents promise most: a Gaussian process of what the regressor gets wrong, and its acquisition.

The process models, per property of the target, physics minus prediction over the latent; what is asked is a function of
prediction plus residual: a composite objective, far better than a process of the distance itself.

Shapes: n observations, M choices, D latent, P properties of the target.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache

import numpy as np
import torch
from botorch.acquisition.logei import TAU_RELU
from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
from botorch.acquisition.multi_objective.objective import MCMultiOutputObjective
from botorch.exceptions.warnings import InputDataWarning
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.models.transforms.input import ChainedInputTransform, FilterFeatures, Normalize
from botorch.optim.optimize import optimize_acqf_discrete
from botorch.sampling.normal import SobolQMCNormalSampler
from botorch.utils.safe_math import log_fatplus, logmeanexp
from gpytorch.mlls import ExactMarginalLogLikelihood
from linear_operator.utils.warnings import NumericalWarning
from torch import Tensor

from microdesign.design.search.sampling import Strata
from microdesign.design.target.target import Target

_SAMPLES = 128
_RESIDUAL = 0.03
"""Usual size of a residual, relative to the property; it weighs as much as `_KNOWN` observations."""
_KNOWN = 4
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
        fitted: Indices of the observations that mean, lengths and noise are fitted to; None takes all. The fit is
            kept: the next process with the same ones has it for nothing.

    One observation is enough: then its residual is expected everywhere.
    """

    def __init__(
        self,
        z: np.ndarray,
        predicted: np.ndarray,
        verified: np.ndarray,
        target: Target,
        strata: Strata,
        fitted: np.ndarray | None = None,
    ) -> None:
        some = np.arange(len(z)) if fitted is None else fitted
        self._target, self._verified = target, verified
        self._level = verified[some].mean(0)
        self._inputs = self._with_predictions(z, predicted)
        residuals = torch.from_numpy(verified) - self._inputs[:, z.shape[1] :]
        # The process is of unit variance, and what the regressor does not know is no residual of the usual size.
        usual = torch.from_numpy(_RESIDUAL * np.abs(verified[some]).mean(0))
        spread = residuals[some].var(0, correction=0)
        self._scale = ((_KNOWN * usual.square() + len(some) * spread) / (_KNOWN + len(some))).sqrt().clamp_min(1e-12)
        residuals = residuals / self._scale
        extent = np.stack([(strata.mean - 3 * strata.std).min(0), (strata.mean + 3 * strata.std).max(0)])
        with small_algebra():
            self._model = _process(self._inputs, residuals, extent)
            arrays = (array[some] for array in (self._inputs.numpy(), residuals.numpy()))
            self._model.load_state_dict(_fit(*((a.tobytes(), a.shape) for a in (*arrays, extent))), strict=False)

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

        One batch of qLogEI, for physics is deterministic and so the best value is known; of qLogNEHVI where several
        things are to be maximised.

        Args:
            baseline: Indices of the observations to improve on.
            pending: Latents and predictions of designs that wait for physics.
            choices: Latents `(M, D)` and predictions `(M, P)` to choose from.
            count: How many to choose.
            seed: Of the acquisition's samples.
        """
        if not len(choices[0]):
            return np.array([], int)
        waiting = torch.empty(0, self._inputs.shape[1]) if pending is None else self._with_predictions(*pending)
        inputs, count = self._with_predictions(*choices), min(count, len(choices[0]))
        sampler = SobolQMCNormalSampler(torch.Size([_SAMPLES]), seed=seed)
        with small_algebra(), torch.no_grad():
            torch.manual_seed(seed)
            if self._target.senses.astype(bool).sum() > 1:
                return self._fronts(baseline, waiting, inputs, count, sampler)
            everything = torch.cat((waiting, inputs))
            samples = sampler(self._model.posterior(everything))
            utilities = self.utilities(samples, everything)[..., 0]
            best = torch.from_numpy(self._utilities(self._verified[baseline])).max().expand(_SAMPLES, 1)
            return _greedy(utilities[:, len(waiting) :], torch.cat((best, utilities[:, : len(waiting)]), 1), count)

    def _fronts(
        self, baseline: np.ndarray, pending: Tensor, choices: Tensor, count: int, sampler: SobolQMCNormalSampler
    ) -> np.ndarray:
        worst = self._utilities(self._verified[baseline])
        acquisition = qLogNoisyExpectedHypervolumeImprovement(
            self._model,
            ref_point=(worst.min(0) - 0.1 * np.ptp(worst, axis=0)).tolist(),
            X_baseline=self._inputs[torch.from_numpy(baseline)],
            sampler=sampler,
            objective=_Several(self),
            X_pending=pending if len(pending) else None,
            prune_baseline=True,
        )
        chosen, _ = optimize_acqf_discrete(acquisition, q=count, choices=choices, unique=True)
        return np.array([int((choices == row).all(-1).nonzero()[0, 0]) for row in chosen])

    def utilities(self, residuals: Tensor, inputs: Tensor) -> Tensor:
        """What there is to maximise, `(..., M)`, for scaled residuals `(..., P)` at inputs `(..., D + P)`."""
        values = (self._scale * residuals + inputs[..., -residuals.shape[-1] :]).detach().numpy()
        return torch.from_numpy(self._utilities(values.reshape(-1, values.shape[-1]))).view(*values.shape[:-1], -1)

    def _utilities(self, values: np.ndarray) -> np.ndarray:
        errors = self._target.errors(values)[:, None]
        objectives = self._target.objectives(values)
        if not objectives.shape[1]:
            return -(errors + self._target.preferences(values)[:, None]) if self._target.prefers else -errors
        spread = np.maximum(np.std(self._target.objectives(self._verified), axis=0), 1e-12)
        return objectives / spread - _PENALTY * np.maximum(errors - self._target.tolerance, 0)

    def _with_predictions(self, z: np.ndarray, predicted: np.ndarray) -> Tensor:
        """Latents and predictions, `(n, D + P)` float64: the process sees the first, the objective both."""
        return torch.from_numpy(np.concatenate((z, np.where(np.isnan(predicted), self._level, predicted)), axis=1))


class _Several(MCMultiOutputObjective):
    def __init__(self, process: ResidualProcess) -> None:
        super().__init__()
        self._process = process

    def forward(self, samples: Tensor, X: Tensor | None = None) -> Tensor:
        return self._process.utilities(samples, X) if X is not None else samples


def _process(inputs: Tensor, residuals: Tensor, extent: np.ndarray) -> SingleTaskGP:
    """A process, not fitted, of residuals `(n, P)` over the latents in inputs `(n, D + P)` that scale to `extent`."""
    size = extent.shape[1]
    transform = ChainedInputTransform(
        latent=FilterFeatures(feature_indices=torch.arange(size)),
        unit=Normalize(d=size, bounds=torch.from_numpy(extent)),
    )
    return SingleTaskGP(inputs, residuals, input_transform=transform, outcome_transform=None)


@lru_cache(maxsize=4)
def _fit(*parts: tuple[bytes, tuple[int, ...]]) -> Mapping[str, Tensor]:
    """Parameters of the process of these inputs, residuals and extent, each the bytes and the shape of its array."""
    inputs, residuals, extent = (np.frombuffer(data).reshape(shape).copy() for data, shape in parts)
    model = _process(torch.from_numpy(inputs), torch.from_numpy(residuals), extent)
    fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model), optimizer_kwargs={"options": {"maxiter": 50}})
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def _greedy(choices: Tensor, known: Tensor, count: int) -> np.ndarray:
    """Indices of the choices with the largest expected improvement together, chosen one after the other.

    The value of qLogEI, for joint samples of all choices that are drawn once.

    Args:
        choices: Samples of their utilities, `(S, M)`.
        known: Utilities of what there is to improve on, `(S, m)`.
        count: How many to choose.
    """
    best, chosen = known.max(1).values, list[int]()
    for _ in range(count):
        gain = logmeanexp(log_fatplus(choices - best[:, None], tau=TAU_RELU), dim=0)
        gain[chosen] = -torch.inf
        chosen.append(int(gain.argmax()))
        best = torch.maximum(best, choices[:, chosen[-1]])
    return np.array(chosen)


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
