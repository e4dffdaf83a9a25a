"""The answer of a campaign as one JSON document: what `design --json` prints, `result.json` holds, the report shows."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from microdesign.core.config import dump_yaml
from microdesign.design.campaign.campaign_config import CampaignConfig
from microdesign.design.campaign.progress import Standings
from microdesign.design.campaign.trials import Trial, Trials
from microdesign.design.report.baselines import Baseline
from microdesign.design.report.export import write_design, write_image, write_labels
from microdesign.design.report.figures import GALLERY
from microdesign.design.search.distinctness import DISTINCT
from microdesign.design.search.pareto import front_numbers
from microdesign.design.target.feasibility import Feasibility
from microdesign.design.target.targets import Target
from microdesign.microstructure.statistics.similarity import distance_to_nearest
from microdesign.physics.materials import Materials
from microdesign.physics.properties import property_unit


def describe_standing(
    config: CampaignConfig,
    trials: Trials,
    materials: Materials,
    feasibility: Feasibility,
    folder: Path,
    training: torch.Tensor | None = None,
) -> dict[str, Any]:
    """What the record of a campaign says, finished or not; writes the images that it names.

    Args:
        config: What is asked.
        trials: The campaign's.
        materials: The phases.
        feasibility: What was known of the target before the search.
        folder: Where images go.
        training: The training set's two-point statistics `(m, X, Y)`.
    """
    standings, target = Standings(config, trials), config.target
    candidates = standings.candidates()
    described = [
        describe_candidate(trial, number, folder, target, training) for number, trial in enumerate(candidates, start=1)
    ]
    return {
        **describe_target(target, materials, feasibility),
        "candidates": described,
        **describe_search(trials.evaluations, target, folder, config.per_round),
        "evaluations": len(trials),
        "history": standings.history(),
        "evaluator": config.evaluator,
        "seed": config.seed,
        "config": dump_yaml(config),
    }


def describe_target(target: Target, materials: Materials, feasibility: Feasibility) -> dict[str, Any]:
    """What was asked, and what was known of it before the search."""
    return {
        "target": target.model_dump(mode="json")["properties"],
        "goals": {name: str(goal) for name, goal in target.properties.items()},
        "units": {name: property_unit(name, materials) for name in target.names},
        "tolerance": target.tolerance,
        "distinct": DISTINCT,
        "constraints": [
            {"name": check.name, "low": check.low, "high": check.high if np.isfinite(check.high) else None}
            for check in target.constraints.checks
        ],
        "feasibility": feasibility.document(),
        "reach": str(feasibility.reach) if feasibility.reach else "",
        "reach_outside": bool(feasibility.reach and feasibility.reach.outside),
        "materials": materials.model_dump(mode="json"),
    }


def describe_candidate(
    trial: Trial, number: int, folder: Path, target: Target, training: torch.Tensor | None
) -> dict[str, Any]:
    """One candidate with its files; `training` are the training set's two-point statistics `(m, X, Y)`."""
    path = folder / "candidates" / f"candidate-{number}.npy"
    verified = {name: trial.verified[name] for name in target.names}
    values = np.array([list(verified.values())])
    return {
        "component": trial.component,
        "predicted": _numbers(trial.predicted),
        "verified": verified,
        "max_relative_error": float(target.errors(values)[0]),
        "deviations": dict(zip(target.names, target.deviations(values)[0].tolist(), strict=True)),
        "constraints": {name: float(v[0]) for name, v in target.constraint_values(trial.labels[None]).items()},
        "novelty": None if training is None else float(distance_to_nearest(trial.labels[None], training)[0]),
        "volume_fraction": float(trial.labels.mean()),
        "all_verified": _numbers(trial.verified),
        "stage": trial.stage,
        "round": trial.round,
        "order": trial.order,
        "key": trial.key,
        "parent": trial.parent,
        "z": trial.z.tolist(),
        "files": write_design(path, trial.labels, trial.verified),
        "image": str(path),
        "robustness": {},
        "discretization_gap": None,
    }


def describe_baseline(baseline: Baseline | None, path: Path) -> dict[str, Any] | None:
    """The best design of a baseline, with its picture."""
    if baseline is None:
        return None
    write_image(path, baseline.labels)
    return {
        "verified": baseline.verified,
        "max_relative_error": baseline.max_relative_error,
        "of": baseline.of,
        "image": str(path),
    }


def describe_search(trials: Sequence[Trial], target: Target, folder: Path, per_round: int) -> dict[str, Any]:
    """How the candidates were found: rounds of `per_round` answers with pictures, parity, timings, the Pareto front.

    Args:
        trials: Those with an answer of physics, in the order of answers.
        target: What was asked.
        folder: The campaign's; pictures go to `rounds/`.
        per_round: Answers that are shown together.
    """
    solved = [trial for trial in trials if trial.verified]
    values = np.array([[trial.verified[name] for name in target.names] for trial in solved]).reshape(
        -1, len(target.names)
    )
    errors = target.errors(values) if len(solved) else np.empty(0)
    rounds = []
    for number, start in enumerate(range(0, len(solved), per_round)):
        mine = np.arange(start, min(start + per_round, len(solved)))
        best = mine[np.argsort(target.ranks(values[mine]), kind="stable")[:GALLERY]]
        path = folder / "rounds" / f"round-{number:03d}.npy"
        write_labels(path, np.stack([solved[i].labels for i in best]))
        rounds.append(
            {
                "first": int(start + 1),
                "last": int(mine[-1] + 1),
                "best_error": float(errors[mine].min()),
                "best_so_far": float(errors[: mine[-1] + 1].min()),
                "stages": {stage: sum(solved[i].stage == stage for i in mine) for stage in _stages(solved, mine)},
                "images": str(path),
            }
        )
    return {
        "rounds": rounds,
        "parity": {
            name: [[t.predicted[name], t.verified[name]] for t in solved if np.isfinite(t.predicted.get(name, np.nan))]
            for name in target.names
        },
        "best_values": _best_values(values, errors, target),
        "timings": timings(trials),
        "failed": [{"key": trial.key, "error": trial.error} for trial in trials if trial.error],
        "front": _front(values, errors, target),
    }


def timings(trials: Sequence[Trial]) -> dict[str, float]:
    """Seconds of all trials together: making proposals, waiting for a worker, physics."""
    return {
        name: float(sum(trial.timings.get(name, 0.0) for trial in trials))
        for name in ("proposing", "waiting", "evaluating")
    }


def _stages(trials: Sequence[Trial], rows: np.ndarray) -> list[str]:
    return sorted({trials[i].stage for i in rows})


def _best_values(values: np.ndarray, errors: np.ndarray, target: Target) -> dict[str, list[float | None]]:
    """Best value so far of each optimised property, among designs that meet the other goals."""
    found = {}
    for index in np.flatnonzero(target.senses):
        sense = target.senses[index]
        gains = np.where(errors <= target.tolerance, sense * values[:, index], -np.inf)
        best = sense * np.maximum.accumulate(gains)
        found[target.names[index]] = [float(value) if np.isfinite(value) else None for value in best]
    return found


def _front(values: np.ndarray, errors: np.ndarray, target: Target) -> dict[str, Any] | None:
    """The designs that meet the other goals, by the optimised properties, if there are two or more of these."""
    chosen = np.flatnonzero(target.senses)
    if len(chosen) < 2:
        return None
    met = np.flatnonzero(errors <= target.tolerance)
    objectives = target.objectives(values[met])
    return {
        "names": [target.names[i] for i in chosen],
        "senses": target.senses[chosen].tolist(),
        "values": values[met][:, chosen].tolist(),
        "numbers": met.tolist(),
        "on_front": (front_numbers(objectives) == 0).tolist() if len(met) else [],
    }


def _numbers(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: float(value) if np.isfinite(value) else None for name, value in values.items()}
