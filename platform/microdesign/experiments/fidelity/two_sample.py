"""Classifier two-sample test: can decodes be told from data? 50 % is perfect (Lopez-Paz and Oquab, ICLR 2017).

Shapes: n images, X Y image.
"""

from collections.abc import Mapping

import numpy as np

from microdesign.experiments.fidelity.image_classifier import ImageClassifier
from microdesign.experiments.fidelity.measurement import PER_CENT, Measurement

VIEWS = ("whole", "crops")
"""Whole images as periodic ones, and crops of half their edge."""
FOLDS = 3
"""Parts of the cross-validation."""


def two_sample_accuracy(
    first: np.ndarray,
    second: np.ndarray,
    n_phases: int,
    steps: int,
    view: str = "whole",
    seed: int = 0,
    folds: int = FOLDS,
) -> float:
    """Accuracy of telling two sets of as many images `(n, X, Y)` apart, cross-validated.

    A classifier is trained afresh for each fold. Rows of the same number stay in one fold, so that an image and its
    reconstruction do not give each other away.

    Args:
        first, second: The sets.
        n_phases: Number of phases.
        steps: Training steps of 32 images.
        view: `whole` or `crops`.
        seed: Of folds, crops and training.
        folds: A classifier is trained on all but one of them: of 200 images and two folds it sees 100 of each set.
    """
    fold = np.random.default_rng(seed).permutation(len(first)) % folds
    right = []
    for number in range(folds):
        sides = []
        for chosen in (fold != number, fold == number):
            pairs = [each[chosen] if view == "whole" else crops(each[chosen], seed) for each in (first, second)]
            sides.append((np.concatenate(pairs), np.repeat((0, 1), [len(each) for each in pairs])))
        (images, classes), (others, expected) = sides
        classifier = ImageClassifier(n_phases, 2, periodic=view == "whole", seed=seed + number)
        right.append(classifier.fit(images, classes, steps).assign(others) == expected)
    return float(np.concatenate(right).mean())


def crops(images: np.ndarray, seed: int) -> np.ndarray:
    """Four crops of half the edge of each image, `(4 n, X / 2, Y / 2)`; periodic images are shifted at random first."""
    stream = np.random.default_rng(seed)
    x, y = (edge // 2 for edge in images.shape[1:])
    moved = [np.roll(image, stream.integers(0, image.shape), (0, 1)) for image in images]
    parts = [image[i : i + x, j : j + y] for image in moved for i in (0, x) for j in (0, y)]
    return np.stack(parts) if parts else np.zeros((0, x, y), images.dtype)


def two_sample_accuracies(
    sets: Mapping[str, tuple[np.ndarray, np.ndarray]], n_phases: int, steps: int, seed: int = 0
) -> dict[str, np.ndarray]:
    """Accuracies of each pair of sets by name, for each of `VIEWS`, `(2,)`."""
    return {
        name: np.array([two_sample_accuracy(*pair, n_phases, steps, view, seed) for view in VIEWS])
        for name, pair in sets.items()
    }


def two_sample_table(accuracies: Mapping[str, np.ndarray], counts: Mapping[str, int]) -> list[Measurement]:
    """Section i: accuracies beside that of data against data, and the most that chance gives in 19 of 20 tests.

    Args:
        accuracies: By name, `(2,)` each; those of `data` are of two sets of data.
        counts: Images of either set, by name.
    """
    rows = []
    for number, view in enumerate(VIEWS):
        data = float(accuracies["data"][number]) if "data" in accuracies else None
        for name, values in accuracies.items():
            if name == "data":
                continue
            title = f"{name} told from held-out images, {view}"
            rows.append(Measurement("i", title, value=float(values[number]), data=data, unit=PER_CENT))
            # Crops of an image are not independent: images count.
            chance = 0.5 + 1.645 * np.sqrt(0.25 / max(1, 2 * counts[name]))
            rows.append(Measurement("i", f"{title}, chance", value=float(chance), unit=PER_CENT))
    return rows
