"""What a campaign is measured against: searches that spend physics evaluations one after the other on a problem.

Each is a function `(problem, seed)` that calls `problem.evaluate(labels)` until that raises `SpentError`.
Shapes: n designs, D latent, P properties, X Y image.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from botorch.acquisition import LogExpectedImprovement, qLogExpectedImprovement
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.models.transforms import Normalize
from botorch.optim import optimize_acqf
from cmaes import CMA
from gpytorch.mlls import ExactMarginalLogLikelihood

from microdesign.design.target.target import Target
from microdesign.microstructure.data.container import Microstructures
from microdesign.physics.evaluators.protocol import Evaluator, evaluate_each
from microdesign.physics.materials import Materials
from microdesign.surrogate.protocol import Surrogate, decode_labels

PENALTY = 10.0


class SpentError(Exception):
    """The budget is spent, or the problem is solved."""


@dataclass
class Problem:
    """A target, the physics, and the count of what was spent.

    Attributes:
        target: What to reach.
        materials, evaluator: The physics.
        budget: Evaluations after which it ends.
        enough: Error at which it ends; 0 spends the budget.
        training: Labelled training images.
        model: The model with the mixture prior.
        standard: A model with a standard normal prior.
        costs: Cost of each evaluation so far: error of the worst property, for an optimum minus its value, penalised.
        last: Values `(1, P)` of the last one that succeeded.
    """

    target: Target
    materials: Materials
    evaluator: Evaluator
    budget: int
    enough: float
    training: Microstructures
    model: Surrogate
    standard: Surrogate
    costs: list[float] = field(default_factory=list)
    last: np.ndarray = field(default_factory=lambda: np.empty(0))

    def evaluate(self, labels: np.ndarray) -> np.ndarray:
        """Costs `(n,)` of images uint8 `(n, X, Y)`."""
        costs = []
        for image in labels:
            if len(self.costs) >= self.budget:
                raise SpentError
            values = evaluate_each(self.evaluator, image[None], self.materials)
            solved = not values.pop("error")[0]
            table = self.target.table(values) if solved else None
            if table is None:
                costs.append(1e3)
            else:
                self.last = table
                costs.append(float(self.cost(image[None], table)[0]))
            self.costs.append(costs[-1])
            if costs[-1] <= self.enough:
                raise SpentError
        return np.array(costs)

    def cost(self, labels: np.ndarray, table: np.ndarray) -> np.ndarray:
        """Costs `(n,)` of images with the target's properties `(n, P)`."""
        errors = self.target.errors(table)
        broken = ~self.target.admits(labels)
        objectives = self.target.objectives(table)
        if objectives.shape[1]:
            return -objectives[:, 0] + PENALTY * (np.maximum(errors - self.target.tolerance, 0) + broken)
        return errors + broken


def local_search(problem: Problem, seed: int) -> None:
    """The best training image, then flips of pixels at its interfaces, kept when they help.

    Three of four times they go to the phase that the mean deviation asks for; a fifth more after a success, a tenth
    fewer after a failure. The value of the training image itself is known and costs nothing.
    """
    stream = np.random.default_rng(seed)
    table = problem.target.table(problem.training.properties)
    costs = problem.cost(problem.training.labels, table)
    best = int(np.nanargmin(costs))
    image, cost, size = problem.training.labels[best].copy(), costs[best], 40.0
    deviation = float(problem.target.deviations(table[best : best + 1]).mean())
    while True:
        neighbours = np.stack([np.roll(image, shift, axis) for axis in (0, 1) for shift in (1, -1)])
        edge = (neighbours != image).any(0)
        asked = deviation != 0 and stream.random() < 0.75
        phase = int(deviation < 0) if asked else int(stream.integers(2))
        candidates = np.flatnonzero(edge & (image != phase))
        flips = stream.choice(candidates, min(len(candidates), 1 + stream.poisson(size)), replace=False)
        changed = image.copy()
        changed.reshape(-1)[flips] = phase
        new = float(problem.evaluate(changed[None])[0])
        if new < cost:
            deviation = float(problem.target.deviations(problem.last).mean())
            image, cost, size = changed, new, size * 1.2
        else:
            size = max(1.0, size * 0.9)


def random_draws(problem: Problem, seed: int) -> None:
    """Draws from p(z|c*), every one evaluated."""
    point = _point(problem)
    while True:
        problem.evaluate(decode_labels(problem.model, problem.model.sample(point, 16, seed).z))
        seed += 1000


def standard_latents(problem: Problem, seed: int) -> None:
    """Draws from N(0, 1), decoded by a standard VAE."""
    stream = np.random.default_rng(seed)
    size = problem.standard.describe()["model"]["network"]["latent"]
    while True:
        problem.evaluate(decode_labels(problem.standard, stream.standard_normal((16, size))))


def plain_bayesian(problem: Problem, seed: int) -> None:
    """BoTorch in a standard VAE's latent space, in the box [-3, 3]^D."""
    size = problem.standard.describe()["model"]["network"]["latent"]
    _plain_bayesian(problem, seed, problem.standard, np.zeros(size), np.ones(size))


def plain_bayesian_here(problem: Problem, seed: int) -> None:
    """BoTorch in this model's latent space, in a box of three standard deviations of the prior, all components."""
    prior = problem.model.prior(_point(problem))
    middle = prior.weights @ prior.mean
    spread = np.sqrt(prior.weights @ (np.square(prior.std) + np.square(prior.mean - middle)))
    _plain_bayesian(problem, seed, problem.model, middle, spread)


def _plain_bayesian(
    problem: Problem,
    seed: int,
    model: Surrogate,
    middle: np.ndarray,
    spread: np.ndarray,
    first: int = 16,
    batch: int = 4,
) -> None:
    """A process of the cost itself over latents `(D,)` in standard deviations, in the box [-3, 3]^D."""
    torch.manual_seed(seed)
    size = len(middle)

    def evaluated(x: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(problem.evaluate(decode_labels(model, middle + spread * x.numpy())))

    bounds = torch.tensor([[-3.0] * size, [3.0] * size], dtype=torch.double)
    z = torch.randn(first, size, dtype=torch.double).clamp(-3, 3)
    costs = evaluated(z)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        while True:
            process = SingleTaskGP(z, -costs[:, None], input_transform=Normalize(size, bounds=bounds))
            fit_gpytorch_mll(
                ExactMarginalLogLikelihood(process.likelihood, process), optimizer_kwargs={"options": {"maxiter": 50}}
            )
            best = (-costs).max()
            acquisition = (
                LogExpectedImprovement(process, best) if batch == 1 else qLogExpectedImprovement(process, best_f=best)
            )
            new, _ = optimize_acqf(
                acquisition, bounds, q=batch, num_restarts=2, raw_samples=64, options={"maxiter": 30}
            )
            z = torch.cat((z, new.detach()))
            costs = torch.cat((costs, evaluated(new.detach())))


def evolution_of_latents(problem: Problem, seed: int) -> None:
    """CMA-ES from the prior's mean at the target, in its standard deviations, the likeliest component."""
    prior = problem.model.prior(_point(problem))
    component = int(prior.weights.argmax())
    mean, std = prior.mean[component], prior.std[component]
    strategy = CMA(mean=np.zeros(len(mean)), sigma=0.5, seed=seed)
    while True:
        x = np.array([strategy.ask() for _ in range(strategy.population_size)])
        costs = problem.evaluate(decode_labels(problem.model, mean + std * x))
        strategy.tell([(each, float(cost)) for each, cost in zip(x, costs, strict=True)])


def genetic(problem: Problem, seed: int, population: int = 16) -> None:
    """A genetic algorithm on the parameters of a Gaussian random field: fraction, two lengths, angle, noise.

    Tournament of two, uniform crossover, Gaussian mutation, the best two stay.
    """
    stream = np.random.default_rng(seed)
    size = problem.training.labels.shape[1]
    low, high = np.array([0.1, np.log(2), np.log(2), 0.0]), np.array([0.9, np.log(12), np.log(12), np.pi])
    genes = low + (high - low) * stream.random((population, 4))
    noise = stream.integers(2**31, size=population)
    costs = problem.evaluate(np.stack([_field(g, n, size) for g, n in zip(genes, noise, strict=True)]))
    while True:
        elite = np.argsort(costs)[:2]
        pairs = stream.integers(population, size=(2, population - 2, 2))
        first, second = (np.where(costs[p[:, 0]] < costs[p[:, 1]], p[:, 0], p[:, 1]) for p in pairs)
        children = np.where(stream.random((population - 2, 4)) < 0.5, genes[first], genes[second])
        children = np.clip(children + 0.08 * (high - low) * stream.standard_normal(children.shape), low, high)
        fresh = stream.integers(2**31, size=population - 2)
        seeds = np.where(stream.random(population - 2) < 0.15, fresh, noise[first])
        new = problem.evaluate(np.stack([_field(g, n, size) for g, n in zip(children, seeds, strict=True)]))
        genes, noise = np.concatenate((genes[elite], children)), np.concatenate((noise[elite], seeds))
        costs = np.concatenate((costs[elite], new))


def _field(genes: np.ndarray, noise: int, size: int) -> np.ndarray:
    """White noise blurred by a Gaussian of two lengths at an angle, cut at the quantile of the fraction."""
    fraction, lengths, angle = genes[0], np.exp(genes[1:3]), genes[3]
    k = 2 * np.pi * np.stack(np.meshgrid(np.fft.fftfreq(size), np.fft.rfftfreq(size), indexing="ij"))
    turned = np.stack((np.cos(angle) * k[0] + np.sin(angle) * k[1], np.cos(angle) * k[1] - np.sin(angle) * k[0]))
    blur = np.exp(-0.25 * np.square(turned * lengths[:, None, None]).sum(0))
    white = np.random.default_rng(noise).standard_normal((size, size))
    values = np.fft.irfft2(np.fft.rfft2(white) * blur, s=(size, size))
    return (values > np.quantile(values, 1 - fraction)).astype(np.uint8)


def _point(problem: Problem) -> dict[str, float]:
    """c*: the target's values, or for an optimum those of the best training image."""
    names = problem.model.properties
    if set(names) <= set(problem.target.fixed):
        return {name: problem.target.fixed[name] for name in names}
    costs = problem.cost(problem.training.labels, problem.target.table(problem.training.properties))
    best = int(np.nanargmin(costs))
    return {name: float(problem.training.properties[name][best]) for name in names}


SEARCHES: dict[str, Callable[[Problem, int], None]] = {
    "best of training, local search": local_search,
    "random draws of p(z|c*)": random_draws,
    "standard VAE, random latents": standard_latents,
    "standard VAE, plain BoTorch": plain_bayesian,
    "plain BoTorch, this model's latents": plain_bayesian_here,
    "CMA-ES from p(z|c*)": evolution_of_latents,
    "genetic, generator parameters": genetic,
}
