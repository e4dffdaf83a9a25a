"""Physics feedback: the properties of decodes as an evaluator computes them, in every step of training.

A decoder that is trained against the regressor alone exploits the regressor's errors: the predicted properties of its
decodes improve while the true ones get worse. So an evaluator computes the properties of some decodes of every step.
Their values replace the regressor's predictions in the objective, which keeps the regressor's gradient; and the
evaluated decodes join later batches as labelled images that train the regressor alone (`ReplayBuffer`), so that it
stays accurate where the decoder goes. A label costs a few milliseconds at 64 x 64.

Shapes: n decodes, P properties.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from microdesign.core.errors import InputError
from microdesign.learning.data.augmentation import ALL, Augmentation
from microdesign.learning.training.config.feedback_config import PhysicsFeedbackConfig
from microdesign.learning.training.replay import ReplayBatch, ReplayBuffer
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.indicators import labels_of
from microdesign.microstructure.data.manifest import DatasetManifest
from microdesign.model.outputs import OutputsT
from microdesign.model.standardization import Standardization
from microdesign.physics.evaluators.protocol import check_evaluator, check_names, evaluate_each, for_images
from microdesign.physics.evaluators.resolver import load_evaluator
from microdesign.physics.materials import materials_from

SAME_PHYSICS = 0.02
"""Median relative difference up to which an evaluator and the labels of a data set count as the same physics."""


def obstacle(data: DatasetManifest) -> str:
    """Says why a data set admits no physics feedback; empty if it does."""
    if data.materials is None:
        return "the data set states no materials"
    if len(data.shape) != 2:
        return "the images are volumes, of which each takes seconds"
    return ""


class PhysicsFeedback:
    """Evaluates decodes and stores them for replay.

    Args:
        config: The evaluator, and how much of it a step takes.
        standardization: Of the properties.
        materials: The phases, as a data set's manifest has them.
        n_phases: Number of phases.
        periodic: Whether the images that are learned from repeat; decodes get the same boundary.
        augmentation: Turns and flips of the training, for the replayed decodes.
        aspect: Edges of a pixel along each axis over that along x; empty for squares.

    Raises:
        InputError: The evaluator cannot be loaded, or the materials are not known.
    """

    def __init__(
        self,
        config: PhysicsFeedbackConfig,
        standardization: Standardization,
        materials: Mapping[str, Any] | None,
        n_phases: int = 2,
        periodic: bool = True,
        augmentation: Augmentation = ALL,
        aspect: Sequence[float] = (),
    ) -> None:
        self.config, self.standardization = config, standardization
        self.materials = materials_from(materials, "the data set's materials")
        self.buffer = ReplayBuffer(config.replay_buffer, standardization, n_phases, augmentation)
        physics = load_evaluator(config.evaluator, config.evaluator_settings)
        self._evaluator = for_images(physics, periodic, aspect)
        self._evaluated = self._answered = 0

    @classmethod
    def of(
        cls,
        config: PhysicsFeedbackConfig | None,
        standardization: Standardization,
        data: DatasetManifest,
        augmentation: Augmentation = ALL,
    ) -> "PhysicsFeedback | None":
        """The physics feedback of a training; None if the config asks for none or the data has an `obstacle`."""
        if config is None or obstacle(data):
            return None
        return cls(config, standardization, data.materials, data.n_phases, data.periodic, augmentation, data.aspect)

    def replay_batch(self, device: torch.device) -> ReplayBatch | None:
        """Draws evaluated decodes of earlier steps; None until there are enough."""
        return self.buffer.draw(self.config.replay_batch, device)

    def check(self, data: Microstructures) -> None:
        """Compares the evaluator's answers with the labels of images; labels that are not known are left out.

        Raises:
            InputError: The evaluator answers for none of the images, lacks a property, or is another physics.
        """
        names = self.standardization.names
        c = self._standardized(torch.from_numpy(data.property_table(names)))
        what = f"physics_feedback.evaluator {self.config.evaluator}"
        values = check_evaluator(self._evaluator, data.labels, self.materials, names, what)
        found = self._standardized(torch.from_numpy(np.stack([values[name] for name in names], 1)))
        difference = (found - c).abs() * self.standardization.relative(c)
        known = torch.isfinite(difference)
        if known.any() and float(difference[known].median()) > SAME_PHYSICS:
            raise InputError(
                f"{what} differs from the data set's labels by {float(difference[known].median()):.0%} in the median; "
                "expected the evaluator of the labels. Name that one, or set physics_feedback to null."
            )

    def correct(self, outputs: OutputsT, progress: float) -> OutputsT:
        """Replaces the predicted properties of decodes by evaluated ones; the gradient stays the regressor's.

        Args:
            outputs: The model's pass.
            progress: Share of the run that is over.

        Returns:
            The same with other `decodes.properties`; predictions stay where the evaluator has no answer.

        Raises:
            InputError: The evaluator leaves out a property.
        """
        if progress < self.config.begin or not len(outputs.decodes.images):
            return outputs
        decodes = outputs.decodes
        n = len(decodes.images)
        # Spread over the decodes: reconstructions come first, then draws.
        chosen = torch.linspace(0, n - 1, min(n, self.config.decodes)).round().long()
        predicted = decodes.properties.float()
        labels = labels_of(decodes.images.detach()[chosen.to(predicted.device)]).cpu()
        values = self._evaluate(labels.numpy())
        true = self._standardized(torch.stack([values[name] for name in self.standardization.names], 1))
        answered = torch.isfinite(true).all(1)
        self._evaluated, self._answered = self._evaluated + len(answered), self._answered + int(answered.sum())
        chosen, true = chosen[answered].to(predicted.device), true[answered]
        self.buffer.add(labels[answered], {name: column[answered] for name, column in values.items()})
        properties = predicted.index_add(0, chosen, true.to(predicted.device) - predicted.detach()[chosen])
        return outputs._replace(decodes=decodes._replace(properties=properties))

    def share_answered(self) -> float | None:
        """Share of the decodes since the last call that the evaluator had an answer for; None if there were none."""
        share = self._answered / self._evaluated if self._evaluated else None
        self._evaluated = self._answered = 0
        return share

    def _evaluate(self, labels: np.ndarray) -> dict[str, Tensor]:
        """Each property of images, `(n,)`; NaN where the evaluator has no answer."""
        values = evaluate_each(self._evaluator, labels, self.materials)
        check_names(values, self.standardization.names)
        columns = {name: column for name, column in values.items() if name != "error"}
        return {name: torch.from_numpy(np.asarray(column, float)) for name, column in columns.items()}

    def _standardized(self, table: Tensor) -> Tensor:
        return torch.from_numpy(self.standardization.forward(table.numpy())).float()
