"""Physics in the training loop: what it says of decodes corrects the regressor's opinion of them, and teaches it.

A decoder that is held to the regressor's opinion learns to please the regressor: that opinion improves, and the physics
of the decodes gets worse. So physics judges decodes of every step. Their errors are then the true ones, of which the
regressor gives the gradient alone; and the judged decodes come back in later batches as labelled images, for the
regressor only, which thereby stays honest where the decoder goes. A label costs a few milliseconds at 64 x 64.

Shapes: n decodes, R images of a lesson, C phase channels, `*N` image axes, P properties.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from microdesign.core.config import Config
from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.manifest import DatasetManifest
from microdesign.model.indicators import indicators, labels_of
from microdesign.model.outputs import OutputsT
from microdesign.model.standardization import Standardization
from microdesign.model.symmetry import Symmetry, symmetries
from microdesign.physics.evaluators.protocol import check_evaluator, check_names, evaluate_each
from microdesign.physics.evaluators.resolver import load_evaluator
from microdesign.physics.materials import materials_from

SAME_PHYSICS = 0.02
"""Median relative difference up to which two solvers are the same physics."""


class TeacherConfig(Config):
    """How much physics a training step asks for."""

    renamed: ClassVar[Mapping[str, str]] = {"verifier": "evaluator"}

    evaluator: str = Field(
        "fft: tolerance=3e-3 precision=float32", description="physics: fft, module:name, or command: PROGRAM ARGS"
    )
    evaluator_settings: dict[str, Any] = Field(default_factory=dict, description="settings of the evaluator")
    start: float = Field(0.15, ge=0, lt=1, description="share of the run before physics: first decodes are noise")
    decodes: int = Field(32, ge=1, description="decodes that physics judges in a step, for each worker")
    lesson: int = Field(16, ge=1, description="judged decodes of earlier steps that join a batch, for the regressor")
    memory: int = Field(3000, ge=1, description="judged decodes that are kept, the latest")


class Lesson(NamedTuple):
    """Judged decodes: indicators `(R, C, *N)` and standardised properties `(R, P)`."""

    x: Tensor
    c: Tensor


class Teacher:
    """Judges decodes, and remembers them.

    Raises:
        InputError: The evaluator cannot be loaded.
    """

    def __init__(
        self,
        config: TeacherConfig,
        standardization: Standardization,
        materials: Mapping[str, Any] | None,
        n_phases: int = 2,
    ) -> None:
        self.config, self.standardization, self.n_phases = config, standardization, n_phases
        self.materials = materials_from(materials, "the data set's materials")
        self._evaluator = load_evaluator(config.evaluator, config.evaluator_settings)
        self._labels: Tensor | None = None
        self._properties: dict[str, Tensor] = {}
        self._symmetries: list[Symmetry] = []

    @classmethod
    def of(
        cls, config: TeacherConfig | None, standardization: Standardization, data: DatasetManifest
    ) -> "Teacher | None":
        """The teacher of a training run; None if none is asked for, or where physics is unknown or costs too much.

        That is for data without materials, and for volumes: one takes seconds where an image takes milliseconds.
        """
        if config is None or data.materials is None or len(data.shape) != 2:
            return None
        return cls(config, standardization, data.materials, data.n_phases)

    def lesson(self, device: torch.device) -> Lesson | None:
        """Draws judged decodes, by torch's own stream, turned and flipped as one; None until there are enough."""
        if self._labels is None or len(self._labels) < self.config.lesson:
            return None
        rows = torch.randint(len(self._labels), (self.config.lesson,))
        symmetry = self._symmetries[int(torch.randint(len(self._symmetries), ()))]
        labels = symmetry.turned(self._labels[rows])
        signs = zip(symmetry.sources, symmetry.signs, strict=True)
        c = self._standardized(torch.stack([sign * self._properties[name][rows] for name, sign in signs], 1))
        return Lesson(indicators(labels, self.n_phases).to(device), c.to(device))

    def check(self, data: Microstructures) -> None:
        """Compares the evaluator's answers with the labels of images; those not known are not compared.

        Raises:
            InputError: The evaluator answers for none of the images, lacks a property, or is another physics.
        """
        c = self._standardized(torch.from_numpy(data.property_table(self.standardization.names)))
        what = f"teacher.evaluator {self.config.evaluator}"
        names = self.standardization.names
        values = check_evaluator(self._evaluator, data.labels, self.materials, names, what)
        said = self._standardized(torch.from_numpy(np.stack([values[name] for name in names], 1)))
        difference = (said - c).abs() * self.standardization.relative(c)
        known = torch.isfinite(difference)
        if known.any() and float(difference[known].median()) > SAME_PHYSICS:
            raise InputError(
                f"{what} says otherwise than the data set's labels, by "
                f"{float(difference[known].median()):.0%} in the median; name the physics of the labels, or set "
                "teacher to null."
            )

    def correct(self, outputs: OutputsT, progress: float) -> OutputsT:
        """Puts what physics says of the decodes in the place of what the regressor says, with the latter's gradient.

        Args:
            outputs: The model's pass.
            progress: Share of the run that is over.

        Raises:
            InputError: The evaluator leaves out a property.
        """
        if progress < self.config.start or not len(outputs.decodes.images):
            return outputs
        decodes = outputs.decodes
        n = len(decodes.images)
        # Spread over the decodes: reconstructions come first, then draws.
        chosen = torch.linspace(0, n - 1, min(n, self.config.decodes)).round().long()
        said = decodes.properties.float()
        labels = labels_of(decodes.images.detach()[chosen.to(said.device)]).cpu()
        values = self._judge(labels.numpy())
        truth = self._standardized(self._table(values))
        answered = torch.isfinite(truth).all(1)
        chosen, truth = chosen[answered].to(said.device), truth[answered]
        self._remember(labels[answered], {name: column[answered] for name, column in values.items()})
        properties = said.index_add(0, chosen, truth.to(said.device) - said.detach()[chosen])
        return outputs._replace(decodes=decodes._replace(properties=properties))

    def state(self) -> dict[str, Any]:
        """What a resumed run needs: the judged decodes, and their properties by name."""
        return {} if self._labels is None else {"labels": self._labels, "properties": self._properties}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Takes up what `state` returned."""
        if state:
            self._labels, self._properties = state["labels"], state["properties"]
            self._see(self._labels.shape[1:], self._properties)

    def _judge(self, labels: np.ndarray) -> dict[str, Tensor]:
        """Each property of the images that physics answers, `(n,)`."""
        values = evaluate_each(self._evaluator, labels, self.materials)
        check_names(values, self.standardization.names)
        self._see(labels.shape[1:], values)
        return {name: torch.from_numpy(np.asarray(values[name], float)) for name in self._needed()}

    def _see(self, shape: Sequence[int], known: Collection[str]) -> None:
        if not self._symmetries:
            self._symmetries = symmetries(shape, self.standardization.names, known)

    def _needed(self) -> list[str]:
        """The properties, and those that a turn makes of them."""
        return sorted({name for each in self._symmetries for name in each.sources})

    def _table(self, values: Mapping[str, Tensor]) -> Tensor:
        return torch.stack([values[name] for name in self.standardization.names], 1)

    def _standardized(self, table: Tensor) -> Tensor:
        return torch.from_numpy(self.standardization.forward(table.numpy())).float()

    def _remember(self, labels: Tensor, properties: dict[str, Tensor]) -> None:
        if self._labels is not None:
            labels = torch.cat((self._labels, labels))
            properties = {name: torch.cat((self._properties[name], column)) for name, column in properties.items()}
        latest = slice(-self.config.memory, None)
        self._labels = labels[latest]
        self._properties = {name: column[latest] for name, column in properties.items()}
