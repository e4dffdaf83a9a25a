"""The metrics that models are compared by, measured on held-out images."""

import copy
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from microdesign.core.metrics import mape, r2
from microdesign.learning.evaluation.inverse_errors import inverse_errors
from microdesign.learning.evaluation.monitoring import Monitor
from microdesign.microstructure.data.container import Microstructures
from microdesign.model.bundle import Bundle, Description
from microdesign.model.losses.two_point import excess_cess
from microdesign.model.objective import Objective
from microdesign.model.objective_config import ObjectiveConfig
from microdesign.model.standardization import Standardization
from microdesign.model.vae import VAERegression
from microdesign.physics.evaluators.protocol import Evaluator
from microdesign.physics.materials import Materials
from microdesign.surrogate.local import LocalSurrogate
from microdesign.surrogate.protocol import decode_labels

_PART = 64
"""Images whose statistics are compared at a time."""


@dataclass(frozen=True)
class HeldOut:
    """Held-out images, and how draws from the prior are evaluated.

    Attributes:
        data: Images that no model was trained on, with known properties.
        standardization: Of the properties.
        targets: Held-out property sets that are drawn for.
        draws: Draws for each.
        evaluator: Computes the properties of the decodes; the model's own regressor predicts them when None.
        materials: Of the labels.
        seed: Seed of targets, draws and latents.
    """

    data: Microstructures
    standardization: Standardization
    targets: int
    draws: int
    evaluator: Evaluator | None = None
    materials: Materials | None = None
    seed: int = 0

    def metrics(
        self,
        model: VAERegression,
        wanted: Collection[str],
        objective: ObjectiveConfig | None = None,
        batch_size: int = 64,
    ) -> dict[str, float]:
        """Measures a model and leaves it as it is.

        Args:
            model: The model.
            wanted: Which metrics of `metrics.MEANING`.
            objective: What `loss` is the value of; the default objective when None.
            batch_size: Images at a time for `loss`.
        """
        model = copy.deepcopy(model).cpu().eval()
        values: dict[str, float] = {}
        if "loss" in wanted:
            monitor = Monitor(self.data, self.standardization, batch_size, torch.device("cpu"), seed=self.seed)
            measured = Objective(objective or ObjectiveConfig(), self.standardization)
            values["loss"] = monitor(model, measured)["validation_loss"]
        description = Description(model=model.config, standardization=self.standardization)
        surrogate = LocalSurrogate(Bundle(model, description))
        if "mape" in wanted or "r2" in wanted:
            predicted = surrogate.predict(self.data.labels)[0]
            values |= {"mape": float(mape(self._true, predicted).mean()), "r2": float(r2(self._true, predicted).mean())}
        if "excess_cess" in wanted:
            values["excess_cess"] = float(np.median(reconstruction_excess(surrogate, self.data)))
        if "inverse_error" in wanted:
            stream = np.random.default_rng(self.seed)
            chosen = stream.choice(len(self.data), min(self.targets, len(self.data)), replace=False)
            errors = inverse_errors(
                surrogate, self._true[np.sort(chosen)], self.draws, self.seed, self.evaluator, self.materials
            )
            values["inverse_error"] = float(np.median(errors))
        return {name: value for name, value in values.items() if name in wanted}

    @property
    def _true(self) -> np.ndarray:
        return self.data.property_table(self.standardization.names)


def reconstruction_excess(surrogate: LocalSurrogate, data: Microstructures) -> np.ndarray:
    """Excess CESS of each image's reconstruction, the binarised decode of its posterior mean, `(N,)`."""
    decodes = decode_labels(surrogate, surrogate.encode(data.labels)[0])
    return excess(data, Microstructures(labels=decodes, n_phases=data.n_phases))


def excess(data: Microstructures, copies: Microstructures) -> np.ndarray:
    """Excess CESS of each copy, `(N,)`."""
    return np.concatenate([excess_cess(x, y).numpy() for x, y in pairs_of(data, copies)])


def pairs_of(data: Microstructures, copies: Microstructures) -> Iterator[tuple[Tensor, Tensor]]:
    """Indicators of images and their copies, some at a time: they take many times the memory of labels."""
    for start in range(0, len(data), _PART):
        part = slice(start, start + _PART)
        yield data.select(part).indicator(), copies.select(part).indicator()
