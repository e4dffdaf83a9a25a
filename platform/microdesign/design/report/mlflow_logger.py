"""What MLflow keeps of a campaign: one run, a nested run for each round of answers, in the end report and files."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from botorch.utils.multi_objective.hypervolume import Hypervolume

from microdesign.design.campaign.trials import Trial
from microdesign.design.report.figures import (
    GALLERY,
    candidates_figure,
    convergence_figure,
    front_figure,
    gallery_figure,
    optima_figure,
    parity_figure,
)
from microdesign.design.report.result import timings
from microdesign.design.search.pareto import front_numbers
from microdesign.design.target.targets import Target
from microdesign.tracking import Run

_FIRST = 8
"""Answers whose worst values are where hypervolumes begin: later ones must not move that."""


class Recorder:
    """Writes a campaign to its MLflow run; rounds in a thread, so that the search does not wait for it.

    Use it in a `with` block, at the end of which everything is written.

    Args:
        run: The campaign's run.
        target: What was asked.
    """

    def __init__(self, run: Run, target: Target) -> None:
        self._run, self._target = run, target
        self._thread = ThreadPoolExecutor(1, "recorder")
        self._pending: list[Future[None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._thread.shutdown(cancel_futures=kind is not None)
        if kind is None:
            self._settle()

    @property
    def reported(self) -> int:
        """Answers that the rounds in MLflow tell of, also those of a run that was killed."""
        return self._run.last_step("evaluations")

    def round(self, answered: Sequence[Trial], fresh: Sequence[Trial], candidates: int) -> None:
        """Logs a round: best error, hypervolume and timings against the evaluations spent; a nested run with pictures.

        Raises:
            MlflowException: An earlier round could not be logged.

        Args:
            answered: All trials with an answer, in the order of answers.
            fresh: Those of this round.
            candidates: Candidates so far.
        """
        self._settle(done=True)
        self._pending.append(self._thread.submit(self._round, list(answered), list(fresh), candidates))

    def _settle(self, done: bool = False) -> None:
        """Raises what went wrong in the rounds written so far; waits for the others unless `done`."""
        waiting = [future for future in self._pending if done and not future.done()]
        for future in self._pending:
            if future not in waiting:
                future.result()
        self._pending = waiting

    def _round(self, answered: list[Trial], fresh: list[Trial], candidates: int) -> None:
        solved = [trial for trial in answered if trial.verified]
        if not solved:
            return
        step = len(answered)
        values = self._values(solved)
        metrics = {
            "best_error": float(self._target.errors(values).min()),
            "evaluations": float(step),
            "candidates": float(candidates),
            "failed": float(len(answered) - len(solved)),
            **self._optima(values),
        }
        self._run.log_metrics(metrics, step=step)
        new = [trial for trial in fresh if trial.verified]
        child = self._run.child(f"evaluations {step - len(fresh) + 1} to {step}")
        try:
            spent = {f"seconds_{name}": seconds for name, seconds in timings(fresh).items()}
            child.log_metrics(metrics | spent | self._parity(new), step=step)
            if new:
                order = np.argsort(self._target.ranks(self._values(new)), kind="stable")[:GALLERY]
                child.log_figure(gallery_figure([[new[i].labels for i in order]], ["best first"]), "gallery.png")
        finally:
            child.end()

    def answer(self, document: Mapping[str, Any], images: Sequence[np.ndarray], folder: Path) -> None:
        """Logs the end: the document, the report, candidates as a table and as files, figures.

        Args:
            document: The campaign's document.
            images: The candidates' labels, `(X, Y)` each.
            folder: The campaign's, with `result.json`, the report and `candidates/`.
        """
        self._settle()
        for name in ("result.json", "report.html", "campaign.yaml"):
            self._run.log_file(folder / name)
        if images:
            self._run.log_folder(folder / "candidates", "candidates")
        self._run.log_text(candidates_table(document), "candidates.md")
        titles = [f"{100 * entry['max_relative_error']:.2f} %" for entry in document["candidates"]]
        self._run.log_figure(candidates_figure(images, titles), "candidates.png")
        self._run.log_figure(convergence_figure(document["history"], document["tolerance"]), "convergence.png")
        self._run.log_figure(parity_figure(document["parity"], document["units"]), "parity.png")
        if document["best_values"]:
            self._run.log_figure(optima_figure(document["best_values"], document["units"]), "optima.png")
        front = document["front"]
        if front is not None:
            shown = np.array(front["values"]).reshape(-1, len(front["names"]))[:, :2]
            self._run.log_figure(front_figure(shown, front["senses"][:2], front["names"][:2]), "front.png")
        final = {f"seconds_{name}": seconds for name, seconds in document["timings"].items()}
        self._run.log_metrics(final | {"utilization": document["utilization"]}, step=document["evaluations"])

    def _values(self, trials: Sequence[Trial]) -> np.ndarray:
        return np.array([[trial.verified[name] for name in self._target.names] for trial in trials])

    def _optima(self, values: np.ndarray) -> dict[str, float]:
        """Best values of the optimised properties and, of several, the hypervolume, where the other goals are met."""
        chosen = np.flatnonzero(self._target.senses)
        met = values[self._target.errors(values) <= self._target.tolerance]
        if not len(chosen) or not len(met):
            return {}
        objectives = self._target.objectives(met)
        names = [self._target.names[i].replace("/", "_per_") for i in chosen]
        best = (objectives.max(0) * self._target.senses[chosen]).tolist()
        found = {f"best_{name}": value for name, value in zip(names, best, strict=True)}
        if len(chosen) > 1:
            found["hypervolume"] = hypervolume(objectives, self._target.objectives(values[:_FIRST]).min(0))
        return found

    def _parity(self, trials: Sequence[Trial]) -> dict[str, float]:
        """Mean relative distance of the prediction from physics by property."""
        found = {}
        for name in self._target.names:
            pairs = [(trial.predicted.get(name, np.nan), trial.verified[name]) for trial in trials]
            known = np.array([pair for pair in pairs if np.isfinite(pair[0])]).reshape(-1, 2)
            if len(known):
                gap = np.abs(known[:, 0] - known[:, 1]) / np.maximum(np.abs(known[:, 1]), 1e-12)
                found[f"prediction_error_{name.replace('/', '_per_')}"] = float(gap.mean())
        return found


def hypervolume(objectives: np.ndarray, reference: np.ndarray) -> float:
    """Volume between the Pareto front of objectives `(n, M)`, to be maximised, and a reference point `(M,)`."""
    front = objectives[front_numbers(objectives) == 0]
    return float(Hypervolume(torch.from_numpy(np.asarray(reference, float))).compute(torch.from_numpy(front)))


def candidates_table(document: Mapping[str, Any]) -> str:
    """The candidates as a Markdown table."""
    names = list(document["goals"])
    titles = ["candidate", "component", *(f"{n} / {document['units'][n]}" for n in names), "error", "novelty"]
    lines = [
        f"| {' | '.join(titles)} |",
        "| --- " * (len(names) + 4) + "|",
        "| target | | " + " | ".join(document["goals"].values()) + " | | |",
    ]
    for number, c in enumerate(document["candidates"], start=1):
        values = " | ".join(f"{c['verified'][name]:.4g}" for name in names)
        known = "" if c["novelty"] is None else f"{c['novelty']:.3f}"
        lines.append(f"| {number} | {c['component']} | {values} | {c['max_relative_error']:.2%} | {known} |")
    return "\n".join(lines) + "\n"
