"""What a sweep found: its trials, the Pareto sets, the winners, and how these compare on the test split."""

from collections.abc import Iterable, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from microdesign.core.tables import markdown_table
from microdesign.learning.evaluation.comparison import Comparison, compare
from microdesign.learning.evaluation.metrics import LARGER_IS_BETTER
from microdesign.learning.sweep.sweep_trials import SweepTrial, balanced_best, pareto_set
from microdesign.microstructure.data.dataset import Dataset
from microdesign.model.bundle import load_bundle
from microdesign.physics.evaluators.protocol import Evaluator


class SweepReport:
    """Gathers the searches of a sweep, one a model; a sweep of a single model gives it no name."""

    def __init__(self, name: str, metrics: Iterable[str]) -> None:
        self.name, self.compared_by = name, tuple(metrics)
        self.trials: dict[str, list[SweepTrial]] = {}
        self.winners: dict[str, SweepTrial] = {}
        self.bundles: dict[str, Path] = {}
        self.comparison: Comparison | None = None

    def add(self, model: str, trials: Iterable[SweepTrial]) -> SweepTrial:
        """Takes the trials of a model; returns the winner: of the Pareto set the one of the least sum of ranks."""
        self.trials[model] = sorted(trials, key=lambda trial: (not trial.has_result, self._losses([trial])[0].tolist()))
        compared = self._compared(model)
        self.winners[model] = compared[balanced_best(self._losses(compared))]
        return self.winners[model]

    def compare(self, dataset: Dataset, evaluator: Evaluator | None) -> None:
        """Compares the trained winners on the test split."""
        self.comparison = compare(
            {model or self.name: load_bundle(path) for model, path in self.bundles.items()}, dataset, evaluator
        )

    def document(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            "sweep": self.name,
            "metrics": list(self.compared_by),
            "trials": self.rows(),
            "winners": [
                {
                    "model": model,
                    "choice": dict(trial.choice),
                    "validation": dict(trial.metrics),
                    "bundle": str(self.bundles[model]) if model in self.bundles else None,
                    "test": dict(self.comparison.metrics[model or self.name]) if self.comparison else None,
                }
                for model, trial in self.winners.items()
            ],
            "wins": None if self.comparison is None else self.comparison.wins.tolist(),
        }

    def rows(self) -> list[dict[str, Any]]:
        """A row for each trial, the best of each model first: choice, status, metrics, place in the Pareto set."""
        rows = []
        for model, trials in self.trials.items():
            best = [dict(trial.choice) for trial in self._pareto(model)]
            for trial in trials:
                rows.append(
                    ({"model": model} if model else {})
                    | dict(trial.choice)
                    | {name: trial.metrics.get(name) for name in self.compared_by}
                    | {"epochs": trial.epochs, "status": trial.status}
                    | {"pareto": dict(trial.choice) in best, "winner": trial is self.winners.get(model)}
                )
        return rows

    def table(self) -> str:
        """The trials and the comparison as Markdown."""
        text = _markdown(self.rows())
        if self.comparison is not None:
            text += "\nWinners, trained in full, on the test split:\n\n"
            text += _markdown([{"model": name, **values} for name, values in self.comparison.metrics.items()])
        return text

    def metrics(self) -> dict[str, float]:
        """Numbers of the parent run: each model's best by each metric, and its winner's on the test split."""
        values: dict[str, float] = {}
        for model, trials in self.trials.items():
            prefix = f"{model}_" if model else ""
            for number, name in enumerate(self.compared_by):
                best = np.nanmin(self._losses(self._compared(model))[:, number])
                values[f"{prefix}best_{name}"] = float(-best if name in LARGER_IS_BETTER else best)
            values[f"{prefix}failed_trials"] = sum(trial.status == "failed" for trial in trials)
            if self.comparison is not None:
                test: Mapping[str, float] = self.comparison.metrics[model or self.name]
                values |= {f"{prefix}test_{name}": value for name, value in test.items()}
        return values

    def figures(self) -> dict[str, Figure]:
        """The trials in the plane of each two metrics, with the Pareto set; the comparison of several models."""
        figures = {}
        for x, y in combinations(self.compared_by, 2):
            figure = Figure(figsize=(6, 4.5), layout="constrained")
            axes = figure.subplots()
            for number, model in enumerate(self.trials):
                for trials, marker, label in (
                    (self._compared(model), ".", model),
                    (self._pareto(model), "o", f"{model} Pareto set".strip()),
                    ([self.winners[model]], "*", f"{model} winner".strip()),
                ):
                    points = [[trial.metrics.get(name, np.nan) for trial in trials] for name in (x, y)]
                    size = {".": 20, "o": 40, "*": 160}[marker]
                    face = "none" if marker == "o" else f"C{number}"
                    axes.scatter(
                        points[0],
                        points[1],
                        s=size,
                        marker=marker,
                        facecolors=face,
                        edgecolors=f"C{number}",
                        label=label,
                    )
            axes.set(xlabel=x, ylabel=y)
            axes.legend(fontsize=8)
            figures[f"pareto_{x}_{y}"] = figure
        if self.comparison is not None and len(self.bundles) > 1:
            figures["comparison"] = self.comparison.figure()
        return figures

    def _compared(self, model: str) -> list[SweepTrial]:
        return [trial for trial in self.trials[model] if trial.has_result]

    def _pareto(self, model: str) -> list[SweepTrial]:
        compared = self._compared(model)
        return [t for t, best in zip(compared, pareto_set(self._losses(compared)), strict=True) if best]

    def _losses(self, trials: Iterable[SweepTrial]) -> np.ndarray:
        """Metrics with the sign that makes smaller better, `(n, m)`."""
        signs = [-1 if name in LARGER_IS_BETTER else 1 for name in self.compared_by]
        return np.array([[trial.metrics.get(name, np.nan) for name in self.compared_by] for trial in trials]) * signs


def _markdown(rows: list[dict[str, Any]]) -> str:
    return markdown_table(list(rows[0]), [list(row.values()) for row in rows])
