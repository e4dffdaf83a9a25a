"""Screening: from many decoded latents to the few that physics shall see, by the regressor and by distinctness.

Shapes: n designs, D latent, P properties, X Y image.
"""

from dataclasses import dataclass

import numpy as np

from microdesign.design.distinctness import DISTINCT, is_distinct, statistics_of
from microdesign.design.targets import Target
from microdesign.model.surrogate import Surrogate, decode_labels


@dataclass(frozen=True)
class Designs:
    """Decoded latents with what the model says of them.

    Attributes:
        z: Latents `(n, D)`.
        component: Prior component that each stems from, int `(n,)`.
        labels: Binarised decodes, uint8 `(n, X, Y)`.
        predicted: Regressor means of the target's properties, `(n, P)`.
        parent: Key of the evaluation that each was derived from, n strings; empty for first draws.
    """

    z: np.ndarray
    component: np.ndarray
    labels: np.ndarray
    predicted: np.ndarray
    parent: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.z)

    def select(self, indices: np.ndarray) -> "Designs":
        """The designs at the indices."""
        where = np.asarray(indices, dtype=int)
        parent = tuple(self.parent[i] for i in where)
        return Designs(self.z[where], self.component[where], self.labels[where], self.predicted[where], parent)


def decode_designs(
    surrogate: Surrogate, target: Target, z: np.ndarray, component: np.ndarray, parent: tuple[str, ...] = ()
) -> Designs:
    """Decodes latents, predicts their properties, and drops what breaks the target's constraints."""
    labels = decode_labels(surrogate, z)
    predicted = target.predict(surrogate, labels)[0]
    designs = Designs(z, component, labels, predicted, parent or ("",) * len(z))
    return designs.select(np.flatnonzero(target.admits(labels)))


def screen(designs: Designs, target: Target, n: int) -> Designs:
    """The n most promising designs: components in turn, each giving its best by predicted error.

    A design whose image another chosen one repeats to within a fifth of `DISTINCT` is passed over while others remain.
    """
    if not len(designs):
        return designs
    error = target.errors(designs.predicted)
    queues = [np.flatnonzero(designs.component == k) for k in np.unique(designs.component)]
    queues = [list(queue[np.argsort(error[queue], kind="stable")]) for queue in queues]
    statistics = statistics_of(designs.labels)
    chosen: list[int] = []
    while len(chosen) < n and any(queues):
        for queue in queues:
            while queue:
                index = queue.pop(0)
                if is_distinct(statistics[index], statistics[chosen], 0.2 * DISTINCT):
                    chosen.append(index)
                    break
            if len(chosen) == n:
                break
    return designs.select(np.array(chosen))
