"""The replay buffer of physics feedback: evaluated decodes of earlier steps, which join later batches.

Shapes: n decodes, R images of a replay batch, C phase channels, `*N` image axes, P properties.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from microdesign.learning.data.augmentation import ALL, Augmentation
from microdesign.microstructure.data.indicators import indicators
from microdesign.model.standardization import Standardization
from microdesign.model.symmetry import Symmetry


class ReplayBatch(NamedTuple):
    """Evaluated decodes: indicators `(R, C, *N)` and standardised properties `(R, P)`."""

    x: Tensor
    c: Tensor


class ReplayBuffer:
    """The latest decodes of a worker with the properties that physics found.

    Args:
        size: Most decodes that are stored; the oldest ones go.
        standardization: Of the properties.
        n_phases: Number of phases.
        augmentation: Turns and flips of the training.
    """

    def __init__(
        self,
        size: int,
        standardization: Standardization,
        n_phases: int = 2,
        augmentation: Augmentation = ALL,
    ) -> None:
        self.size, self.standardization, self.n_phases = size, standardization, n_phases
        self.augmentation = augmentation
        self._labels: Tensor | None = None
        self._properties: dict[str, Tensor] = {}
        self._symmetries: list[Symmetry] = []

    def __len__(self) -> int:
        return 0 if self._labels is None else len(self._labels)

    def add(self, labels: Tensor, properties: Mapping[str, Tensor]) -> None:
        """Stores decodes.

        Args:
            labels: Their phases, uint8 `(n, *N)`.
            properties: Values `(n,)` by name, in physical units: those that the model knows and, where images are
                turned, those that a turn makes of them.
        """
        self._find_symmetries(labels.shape[1:], properties)
        names = sorted({name for each in self._symmetries for name in each.sources})
        stored = {name: properties[name] for name in names}
        if self._labels is not None:
            labels = torch.cat((self._labels, labels))
            stored = {name: torch.cat((self._properties[name], column)) for name, column in stored.items()}
        latest = slice(-self.size, None)
        self._labels = labels[latest]
        self._properties = {name: column[latest] for name, column in stored.items()}

    def draw(self, n: int, device: torch.device) -> ReplayBatch | None:
        """Draws n decodes by torch's global stream, turned and flipped as one; None while fewer are stored."""
        if self._labels is None or len(self._labels) < n:
            return None
        rows = torch.randint(len(self._labels), (n,))
        symmetry = self._symmetries[int(torch.randint(len(self._symmetries), ()))]
        labels = symmetry.turned(self._labels[rows])
        signs = zip(symmetry.sources, symmetry.signs, strict=True)
        table = torch.stack([sign * self._properties[name][rows] for name, sign in signs], 1)
        c = torch.from_numpy(self.standardization.forward(table.numpy())).float()
        return ReplayBatch(indicators(labels, self.n_phases).to(device), c.to(device))

    def state(self) -> dict[str, Any]:
        """Returns what a resumed run needs."""
        return {} if self._labels is None else {"labels": self._labels, "properties": self._properties}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Takes over what `state` returned."""
        if state:
            self._labels, self._properties = state["labels"], dict(state["properties"])
            self._find_symmetries(state["labels"].shape[1:], state["properties"])

    def _find_symmetries(self, shape: Sequence[int], known: Mapping[str, Tensor]) -> None:
        if not self._symmetries:
            self._symmetries = self.augmentation.symmetries(shape, self.standardization.names, known)
