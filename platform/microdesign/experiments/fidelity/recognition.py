"""Whether decodes are recognised: the shares that a classifier of the data assigns to the class of their image.

Shapes: T targets, N draws a target, X Y image.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from microdesign.experiments.fidelity.image_classifier import ImageClassifier
from microdesign.experiments.fidelity.measurement import PER_CENT, Measurement
from microdesign.microstructure.data.container import Microstructures


@dataclass(frozen=True)
class Recognition:
    """A classifier trained on the training split.

    Attributes:
        names: Its classes.
        classifier: What assigns them.
        accuracy: Share of held-out images that it assigns to their class.
    """

    names: tuple[str, ...]
    classifier: ImageClassifier
    accuracy: float

    def share(self, labels: np.ndarray, classes: Sequence[str]) -> float:
        """Share of images `(n, X, Y)` that are assigned to their classes; those of unknown classes do not count."""
        rows, numbers = _numbered(classes, self.names)
        return float((self.classifier.assign(labels[rows]) == numbers).mean()) if len(rows) else float("nan")


def train_recognition(
    training: Microstructures, held_out: Microstructures, steps: int, most: int, seed: int = 0
) -> Recognition | None:
    """Trains a classifier of the training images; None where these are not of two known classes at least.

    Args:
        training: Images with classes.
        held_out: Images that its accuracy is measured on.
        steps: Training steps of 32 images.
        most: Most images to train on, chosen at random.
        seed: Of everything.
    """
    names = tuple(sorted({name for name in training.classes if name}))
    if len(names) < 2:
        return None
    rows, numbers = _numbered(training.classes, names)
    some = np.random.default_rng(seed).permutation(len(rows))[:most]
    classifier = ImageClassifier(training.n_phases, len(names), turned=True, seed=seed)
    classifier.fit(training.labels[rows[some]], numbers[some], steps)
    found = Recognition(names, classifier, float("nan"))
    return Recognition(names, classifier, found.share(held_out.labels, held_out.classes))


def recognition_table(accuracy: float, shares: Mapping[str, float]) -> list[Measurement]:
    """Section h: shares of decodes that are recognised, by what they are, and relative to held-out images'."""
    rows = [Measurement("h", "recognised, held-out images", value=accuracy, unit=PER_CENT)]
    for name, share in shares.items():
        rows.append(Measurement("h", f"recognised, {name}", value=share, data=accuracy, unit=PER_CENT))
        rows.append(Measurement("h", f"recognised over held-out images, {name}", value=share / max(accuracy, 1e-12)))
    return rows


def _numbered(classes: Sequence[str], names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Rows of known classes, and the numbers of these."""
    number = {name: index for index, name in enumerate(names)}
    rows = [row for row, name in enumerate(classes) if name in number]
    return np.array(rows, int), np.array([number[classes[row]] for row in rows], int)
