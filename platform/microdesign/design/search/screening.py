"""Screening: from many decoded latents to the few that physics shall see.

Shapes: n designs, D latent, P properties of the target, `*N` image or volume.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import ndtri
from scipy.stats import qmc

from microdesign.design.search.distinctness import DISTINCT
from microdesign.design.search.prediction import predict_target
from microdesign.design.target.target import Target
from microdesign.microstructure.statistics.difference import nearest_difference
from microdesign.surrogate.protocol import Surrogate, decode_labels


@dataclass(frozen=True)
class Designs:
    """Decoded latents with what the model says of them.

    Attributes:
        z: Latents `(n, D)`.
        component: Prior component that each stems from, int `(n,)`.
        labels: Binarised decodes, uint8 `(n, *N)`.
        predicted: Regressor means of the target's properties, `(n, P)`; NaN where the model says nothing.
        std: Its standard deviations, `(n, P)`.
        parent: Key of the trial that each was derived from, n strings; empty for first draws.
    """

    z: np.ndarray
    component: np.ndarray
    labels: np.ndarray
    predicted: np.ndarray
    std: np.ndarray
    parent: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.z)

    def select(self, indices: np.ndarray) -> "Designs":
        """The designs at the indices."""
        where = np.asarray(indices, dtype=int)
        parent = tuple(self.parent[i] for i in where)
        z, component, labels = self.z[where], self.component[where], self.labels[where]
        return Designs(z, component, labels, self.predicted[where], self.std[where], parent)

    def joined(self, other: "Designs") -> "Designs":
        """These and the other ones."""
        return Designs(
            z=np.concatenate((self.z, other.z)),
            component=np.concatenate((self.component, other.component)),
            labels=np.concatenate((self.labels, other.labels)),
            predicted=np.concatenate((self.predicted, other.predicted)),
            std=np.concatenate((self.std, other.std)),
            parent=self.parent + other.parent,
        )


def decode_designs(
    surrogate: Surrogate, target: Target, z: np.ndarray, component: np.ndarray, parent: tuple[str, ...] = ()
) -> Designs:
    """Decodes latents, drops what breaks the target's constraints, and predicts the properties of the others."""
    labels = decode_labels(surrogate, z)
    kept = np.flatnonzero(target.admits(labels))
    parent = parent or ("",) * len(z)
    mean, std = predict_target(target, surrogate, labels[kept])
    return Designs(z[kept], component[kept], labels[kept], mean, std, tuple(parent[i] for i in kept))


def ranks(designs: Designs, target: Target, draws: int = 64) -> np.ndarray:
    """Position of each design, int `(n,)`, 0 the most promising.

    Without optima by the expected error, for the regressor's mean and standard deviation: a sure prediction near the
    target comes before an unsure one on it. With optima by the mean, as verified designs are ranked.
    """
    if target.senses.any():
        return target.ranks(designs.predicted)
    uniform = qmc.Sobol(designs.predicted.shape[1], rng=np.random.default_rng(0)).random(draws)
    values = designs.predicted + designs.std * ndtri(np.clip(uniform, 1e-6, 1 - 1e-6))[:, None]
    expected = target.errors(values.reshape(-1, values.shape[-1])).reshape(draws, -1).mean(0)
    positions = np.empty(len(designs), int)
    positions[np.argsort(expected, kind="stable")] = np.arange(len(designs))
    return positions


def screen(
    designs: Designs, target: Target, n: int, reference: np.ndarray | None = None, least_novelty: float = 0.0
) -> Designs:
    """The n most promising designs that are distinct from each other, in the order of choice.

    Components take turns, the one of the most promising design first.

    Args:
        designs: To choose from.
        target: What to reach.
        n: How many to choose at most.
        reference: Coordinates `(m, F)` of known microstructures, those of the training set.
        least_novelty: Difference from all of these at which a design is new enough.
    """
    points = target.coordinates(designs.labels)
    if reference is not None and least_novelty > 0 and len(designs):
        new = np.flatnonzero(nearest_difference(points, reference) >= least_novelty)
        designs, points = designs.select(new), points[new]
    if not len(designs):
        return designs
    merit = -ranks(designs, target) / n
    return designs.select(diverse(points, merit, designs.component, n))


def diverse(points: np.ndarray, merit: np.ndarray, group: np.ndarray, n: int) -> np.ndarray:
    """Indices of n designs of much merit and little similarity, groups in turn, that of the greatest merit first.

    The greedy maximum a posteriori set of a determinantal point process: L_ij = q_i S_ij q_j, the quality
    q = exp(merit), the similarity S a Gaussian of the designs' difference of width `DISTINCT`
    (Chen, Zhang and Zhou, Fast greedy MAP inference for determinantal point process, NeurIPS 2018).

    Args:
        points: Coordinates `(N, F)`.
        merit: Logarithm of each one's quality, `(N,)`.
        group: Group of each, int `(N,)`.
        n: How many to choose.
    """
    similarity = np.exp(-0.5 * (cdist(points, points) / DISTINCT) ** 2)
    left = np.ones(len(merit), bool)
    variance = np.full(len(merit), 1 + 1e-6)  # what the chosen ones leave unexplained of each
    factor = np.zeros((0, len(merit)))
    chosen: list[int] = []
    turn = sorted(np.unique(group), key=lambda each: -merit[group == each].max())
    while len(chosen) < n and left.any():
        mine = turn.pop(0)
        turn.append(mine)
        candidates = np.flatnonzero(left & (group == mine))
        if not len(candidates):
            continue
        gain = 2 * merit[candidates] + np.log(np.maximum(variance[candidates], 1e-9))
        best = int(candidates[gain.argmax()])
        chosen.append(best)
        left[best] = False
        row = (similarity[best] - factor[:, best] @ factor) / np.sqrt(max(variance[best], 1e-9))
        factor = np.vstack((factor, row))
        variance = variance - row**2
    return np.array(chosen)
