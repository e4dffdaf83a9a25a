"""Targets that are harder than a held-out image's properties, for `benchmarks/campaign.py --kind`.

Shapes: N training images, m targets, P properties, X Y image.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import nnls

from microdesign.design.target.target import Target
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.generators.registry import FAMILIES, generate
from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.evaluators.protocol import evaluate_each
from microdesign.physics.materials import Materials

BEYOND = (1.0, 3.0)
"""Distance from the convex hull of the data, in standard deviations of the logarithms, of a target beyond them."""
_PART = 50
"""Images whose labels are stored at a time."""


@dataclass(frozen=True)
class TargetSet:
    """Targets with the phases that they are asked of, and the training images labelled for these."""

    targets: Mapping[str, Target]
    materials: Materials
    training: Microstructures


@dataclass(frozen=True)
class _Sources:
    training: Microstructures
    held_out: Microstructures
    materials: Materials
    properties: tuple[str, ...]
    most_labels: int
    folder: Path


def target_set(
    kind: str,
    n: int,
    training: Microstructures,
    held_out: Microstructures,
    materials: Materials,
    properties: Sequence[str],
    most_labels: int,
    folder: Path,
) -> TargetSet:
    """The targets of a kind, the same ones for the same data.

    Args:
        kind: A key of `KINDS`.
        n: How many.
        training: Labelled training images.
        held_out: Labelled images that are not among them.
        materials: What both are labelled for.
        properties: Names of those that a target fixes.
        most_labels: Training images at most that are labelled again where the phases are others.
        folder: Keeps these labels.
    """
    sources = _Sources(training, held_out, materials, tuple(properties), most_labels, folder)
    return KINDS[kind](sources, n)


def _held_out(sources: _Sources, n: int) -> TargetSet:
    """The properties of held-out images."""
    rows = np.random.default_rng(0).choice(len(sources.held_out), n, replace=False)
    targets = {f"test {row}": Target(properties=_at(sources, sources.held_out, row)) for row in rows}
    return TargetSet(targets, sources.materials, sources.training)


def _beyond(sources: _Sources, n: int) -> TargetSet:
    """Properties of images of other families that are 1 to 3 standard deviations outside the hull of the data's.

    Such images exist, so that each target can be met: layers of any widths and roughness, and every built-in family.
    """
    stream, size = np.random.default_rng(0), sources.training.labels.shape[1]
    known = np.log(np.stack([sources.training.properties[name] for name in sources.properties], axis=1))
    scale = known.std(0)
    targets: dict[str, Target] = {}
    for number in range(400):
        if len(targets) == n:
            break
        image = _rough_layers(stream, size) if number % 2 else _of_a_family(stream, size)
        values = evaluate_each(FFTEvaluator(), image[None], sources.materials)
        own = {name: float(values[name][0]) for name in sources.properties}
        place = np.log(np.array(list(own.values())))
        if BEYOND[0] <= distance_to_hull(place / scale, known / scale) <= BEYOND[1]:
            targets[f"beyond {number}"] = Target(properties=own)
    return TargetSet(targets, sources.materials, sources.training)


def distance_to_hull(point: np.ndarray, points: np.ndarray) -> float:
    """Euclidean distance of a point `(P,)` from the convex hull of points `(N, P)`: non-negative least squares."""
    heavy = 1e3 * max(1.0, float(np.abs(points).max()))  # holds the sum of the weights at 1
    weights, _ = nnls(np.vstack([points.T, np.full(len(points), heavy)]), np.append(point, heavy))
    return float(np.linalg.norm(weights @ points / weights.sum() - point))


def _rough_layers(stream: np.random.Generator, size: int) -> np.ndarray:
    layers, fraction = int(stream.integers(1, 5)), stream.uniform(0.2, 0.8)
    wave = sum(
        stream.uniform(0, 1.5) * np.sin(2 * np.pi * (k * np.arange(size) / size + stream.random())) for k in (1, 2, 3)
    )
    depth = (np.arange(size)[:, None] + wave[None]) * layers / size
    image = ((depth % 1) < fraction).astype(np.uint8)
    return image if stream.random() < 0.5 else image.T


def _of_a_family(stream: np.random.Generator, size: int) -> np.ndarray:
    family = list(FAMILIES)[int(stream.integers(len(FAMILIES)))]
    return generate(family, 1, (size, size), seed=int(stream.integers(2**31))).labels[0]


def _of_phases(phases: Callable[[Materials], dict[str, Any]], name: str) -> Callable[[_Sources, int], TargetSet]:
    """The properties of held-out images for other phases, for which training images are labelled, too."""

    def make(sources: _Sources, n: int) -> TargetSet:
        materials = Materials.model_validate(phases(sources.materials))
        rows = np.random.default_rng(0).permutation(len(sources.training))[: sources.most_labels]
        file = sources.folder / f"{name}-labels.npz"
        training = _labelled(sources.training.select(rows), materials, sources.properties, file)
        targets: dict[str, Target] = {}
        for row in np.random.default_rng(0).permutation(len(sources.held_out)):
            values = evaluate_each(FFTEvaluator(), sources.held_out.labels[row][None], materials)
            own = {each: float(values[each][0]) for each in sources.properties}
            if min(own.values()) > 1e-3 * float(materials.phases[1].k or 1):  # what carries nothing is no target
                targets[f"{name} {row}"] = Target(properties=own)
            if len(targets) == n:
                break
        return TargetSet(targets, materials, training)

    return make


def _labelled(images: Microstructures, materials: Materials, properties: Sequence[str], file: Path) -> Microstructures:
    """Images with labels for other phases, those with positive `properties`; what is computed is kept in the file."""
    done: dict[str, np.ndarray] = dict(np.load(file)) if file.exists() else {}
    known = len(next(iter(done.values()))) if done else 0
    while known < len(images):
        part = evaluate_each(FFTEvaluator(), images.labels[known : known + _PART], materials)
        part.pop("error")
        done = {name: np.concatenate((done.get(name, np.empty(0)), array)) for name, array in part.items()}
        np.savez(file, allow_pickle=False, **done)
        known += _PART
    values = {name: done[name][: len(images)] for name in images.properties if name in done}
    # The others carry nothing, and have no Poisson's ratio, where pores cut them.
    chosen = np.flatnonzero(np.all([np.isfinite(values[name]) & (values[name] > 0) for name in properties], axis=0))
    return Microstructures(
        labels=images.labels[chosen], n_phases=2, properties={name: array[chosen] for name, array in values.items()}
    )


def _constrained(sources: _Sources, n: int) -> TargetSet:
    """The properties of held-out images under six constraints, about as tight as the image itself keeps them."""
    targets: dict[str, Target] = {}
    measured = {
        "volume_fraction": [0.0, 1.0],
        "feature_size": {0: {"at_least": 1}, 1: {"at_least": 1}},
        "connected": {1: 0.0},
        "symmetry": {"mirror": 1.0, "turn": 1.0},
    }
    ask = Target.model_validate({"properties": {sources.properties[0]: 1.0}, "constraints": measured})
    for row in np.random.default_rng(0).choice(len(sources.held_out), n, replace=False):
        own = {name: float(v[0]) for name, v in ask.constraint_values(sources.held_out.labels[row][None]).items()}
        fraction = own["volume_fraction"]
        constraints = {
            "volume_fraction": [max(0.0, fraction - 0.05), min(1.0, fraction + 0.05)],
            "feature_size": {phase: {"at_least": 0.75 * own[f"feature_size_{phase}"]} for phase in (0, 1)},
            "connected": {1: max(0.0, own["connected_1"] - 0.1)},
            "symmetry": {each: min(1.0, own[f"symmetry_{each}"] + 0.1) for each in ("mirror", "turn")},
        }
        asked = {"properties": _at(sources, sources.held_out, row), "constraints": constraints}
        targets[f"constrained {row}"] = Target.model_validate(asked)
    return TargetSet(targets, sources.materials, sources.training)


def _at(sources: _Sources, images: Microstructures, row: int) -> dict[str, float]:
    return {name: float(images.properties[name][row]) for name in sources.properties}


def _contrast(factor: float) -> Callable[[Materials], dict[str, Any]]:
    """Phases whose moduli and conductivities differ by a factor, the softer one unchanged."""

    def phases(materials: Materials) -> dict[str, Any]:
        values = materials.model_dump(mode="json")
        for name in ("E", "k"):
            values["phases"][1][name] = factor * values["phases"][0][name]
        return values

    return phases


def _porous(materials: Materials) -> dict[str, Any]:
    values = materials.model_dump(mode="json")
    values["phases"][0] |= {"E": 0.0, "k": 0.0}
    return values


def _other_plane(materials: Materials) -> dict[str, Any]:
    values = materials.model_dump(mode="json")
    return values | {"plane": "strain" if values["plane"] == "stress" else "stress"}


KINDS: dict[str, Callable[[_Sources, int], TargetSet]] = {
    "held-out": _held_out,
    "beyond": _beyond,
    "contrast-100": _of_phases(_contrast(100), "contrast-100"),
    "contrast-1000": _of_phases(_contrast(1000), "contrast-1000"),
    "porous": _of_phases(_porous, "porous"),
    "other-plane": _of_phases(_other_plane, "other-plane"),
    "constraints": _constrained,
}
