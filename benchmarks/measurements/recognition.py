"""A classifier of MICRO2D's classes. Shapes: n images, `(n, 128, 128)` phase labels."""

from collections.abc import Iterable

import numpy as np

from microdesign.experiments.fidelity.image_classifier import BATCH, ImageClassifier
from microdesign.microstructure.data.resampling import resize
from microdesign.microstructure.io.readers import read_images

SIZE = 128


def read_classes(path: str, classes: Iterable[str], count: int, size: int = SIZE) -> tuple[np.ndarray, np.ndarray]:
    """The first `count` images of each class, reduced to `size` pixels, and the number of each image's class."""
    images: dict[str, list[np.ndarray]] = {name: [] for name in classes}
    for batch in read_images(path):
        small = batch if batch.labels.shape[1] == size else resize(batch, size)
        for labels, name in zip(small.labels, small.classes or (), strict=True):
            if name in images and len(images[name]) < count:
                images[name].append(labels)
        if all(len(each) == count for each in images.values()):
            break
    lacking = [name for name, each in images.items() if not each]
    if lacking:
        raise SystemExit(f"{path}: has no image of class {lacking[0]}; expected the classes {', '.join(images)}.")
    numbers = np.concatenate([np.full(len(each), i) for i, each in enumerate(images.values())])
    return np.concatenate([np.stack(each) for each in images.values()]), numbers


def classifier(images: np.ndarray, classes: np.ndarray, epochs: int, seed: int) -> tuple[ImageClassifier, float]:
    """Trains on three quarters of the images; returns the classifier and its accuracy on the others."""
    order = np.random.default_rng(seed).permutation(len(images))
    held, rest = order[: len(order) // 4], order[len(order) // 4 :]
    trained = ImageClassifier(2, int(classes.max()) + 1, turned=True, seed=seed)
    trained.fit(images[rest], classes[rest], epochs * len(rest) // BATCH)
    return trained, float((trained.assign(images[held]) == classes[held]).mean())


def share_assigned(trained: ImageClassifier, labels: np.ndarray, number: int) -> float:
    """The share of images that the classifier assigns to a class."""
    return float((trained.assign(labels) == number).mean())
