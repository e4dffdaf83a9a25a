"""The classifiers that judge a model's decodes, their results cached: sections h and i.

Shapes: T targets, N draws a target, X Y image.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from microdesign.core.files import digest_json
from microdesign.core.progress import Progress
from microdesign.experiments.base.cached_arrays import cached_arrays
from microdesign.experiments.base.evaluated_draws import EvaluatedDraws
from microdesign.experiments.fidelity.config import FidelityConfig
from microdesign.experiments.fidelity.draws import DrawKind
from microdesign.experiments.fidelity.measurement import Measurement
from microdesign.experiments.fidelity.recognition import recognition_table, train_recognition
from microdesign.experiments.fidelity.two_sample import two_sample_accuracies, two_sample_table
from microdesign.microstructure.data.container import Microstructures

_LEAST_IMAGES = 12
_SETTINGS = {
    "recognition_steps",
    "two_sample_steps",
    "two_sample_images",
    "judged_images",
    "realism_draws",
    "seed",
}


def judge(
    training: Microstructures,
    held_out: Microstructures,
    targets: Microstructures,
    reconstructions: np.ndarray,
    draws: Mapping[DrawKind, EvaluatedDraws],
    config: FidelityConfig,
    progress: Progress,
    cache: Path | None,
) -> list[Measurement]:
    """Trains both judges afresh, unless these very images were judged before, and returns their measurements.

    Args:
        training: The training split.
        held_out: The held-out split.
        targets: The T images of it whose properties are the targets.
        reconstructions: `(T, X, Y)`.
        draws: Draws for the targets by kind; a draw is of its target's class.
        config: How much to train.
        progress: Called with lines for people.
        cache: Folder of results; None stores none.
    """
    decodes = {"reconstructions": reconstructions[:, None]} | {
        f"draws{kind.suffix}": each.labels for kind, each in draws.items()
    }
    rows: list[Measurement] = []
    if config.recognition_steps:
        progress("recognition: a classifier of the training images")
        shares = _cached(
            cache, "recognition", config, [training, held_out, targets], decodes,
            lambda: _recognised(training, held_out, targets, decodes, config),
        )  # fmt: skip
        if shares:
            accuracy = float(shares.pop("held-out images")[0])
            rows += recognition_table(accuracy, {name: float(value[0]) for name, value in shares.items()})
        else:
            progress("recognition is left out: the training images are not of two classes or more")
    if config.two_sample_steps:
        progress("two-sample test: classifiers of decodes and held-out images")
        sets = _pairs(training, held_out, targets, decodes, config)
        if min(len(first) for first, _ in sets.values()) < _LEAST_IMAGES:
            progress(f"the two-sample test is left out: there are fewer than {_LEAST_IMAGES} images to compare")
            return rows
        found = _cached(
            cache, "two-sample", config, [training, held_out, targets], decodes,
            lambda: two_sample_accuracies(sets, held_out.n_phases, config.two_sample_steps, config.seed),
        )  # fmt: skip
        rows += two_sample_table(found, {name: len(first) for name, (first, _) in sets.items()})
    return rows


def _recognised(
    training: Microstructures,
    held_out: Microstructures,
    targets: Microstructures,
    decodes: Mapping[str, np.ndarray],
    config: FidelityConfig,
) -> dict[str, np.ndarray]:
    """Shares by name, `(1,)` each; nothing without classes."""
    found = train_recognition(training, held_out, config.recognition_steps, config.judged_images, config.seed)
    if found is None:
        return {}
    shares = {"held-out images": np.array([found.accuracy])}
    for name, labels in decodes.items():
        some = labels[:, : config.realism_draws]
        classes = np.repeat(targets.classes, some.shape[1]).tolist()
        shares[name] = np.array([found.share(some.reshape(-1, *some.shape[2:]), classes)])
    return shares


def _pairs(
    training: Microstructures,
    held_out: Microstructures,
    targets: Microstructures,
    decodes: Mapping[str, np.ndarray],
    config: FidelityConfig,
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """What the test tells apart, as many images of either; `data` are training and held-out images.

    Of draws the first of each target come first, so that as many targets as there are take part. Corrected draws are
    left out: they differ from direct ones in where they are drawn, not in how they look.
    """
    stream = np.random.default_rng([config.seed, 2])
    held = held_out.labels[stream.permutation(len(held_out))]
    known = training.labels[stream.permutation(len(training))]
    direct = decodes[f"draws{DrawKind.DIRECT.suffix}"].swapaxes(0, 1)
    sets = {
        "reconstructions": (decodes["reconstructions"][:, 0], targets.labels),
        "draws": (direct.reshape(-1, *direct.shape[2:]), held),
        "data": (known, held),
    }
    most = {name: min(len(first), len(second), config.two_sample_images) for name, (first, second) in sets.items()}
    return {name: (first[: most[name]], second[: most[name]]) for name, (first, second) in sets.items()}


def _cached(
    cache: Path | None,
    judge: str,
    config: FidelityConfig,
    images: Sequence[Microstructures],
    decodes: Mapping[str, np.ndarray],
    compute: Callable[[], Mapping[str, np.ndarray]],
) -> dict[str, np.ndarray]:
    """The judge's results for these images and settings, from the cache where they are in it."""
    if cache is None:
        return dict(compute())
    digest = hashlib.sha256()
    for labels in (*(each.labels for each in images), *decodes.values()):
        digest.update(np.ascontiguousarray(labels).tobytes())
    classes = [list(each.classes) for each in images]
    settings = config.model_dump(mode="json", include=_SETTINGS)
    name = digest_json([judge, digest.hexdigest(), classes, settings])
    return cached_arrays(cache / f"{judge}-{name[:24]}.npz", compute)
