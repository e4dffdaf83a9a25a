"""A campaign in MLflow: one run, a nested run for each round of evaluations, in the end the report and files."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Self

import numpy as np
import torch
from botorch.utils.multi_objective.hypervolume import Hypervolume

from microdesign.core.metrics import mape
from microdesign.core.pixels import Pixel
from microdesign.design.campaign.discretizations import errors_by_both
from microdesign.design.campaign.trials import Trial
from microdesign.design.report.charts.report_charts import report_charts
from microdesign.design.report.charts.vega import picture
from microdesign.design.report.figures import (
    GALLERY,
    candidates_figure,
    gallery_figure,
)
from microdesign.design.report.result import CampaignResult
from microdesign.design.report.summary import total_seconds
from microdesign.design.target.pareto import front_numbers
from microdesign.design.target.target import Target
from microdesign.microstructure.drawing import UNKNOWN
from microdesign.tracking import Recorder
from microdesign.tracking.recorder import as_png

_FIRST = 8
"""Answers whose worst values are where hypervolumes begin: later ones must not move that."""


class MLflowLogger:
    """Logs a campaign to its MLflow run; rounds are drawn in a thread, so that the search does not wait for it.

    Use it in a `with` block, at the end of which everything is given to the recorder.

    Args:
        run: The recorder of the campaign's run.
        target: What was asked.
        images: Physics evaluations of a design.
        pixel: Size of a pixel of the designs, for pictures and their scale bars.
    """

    def __init__(self, run: Recorder, target: Target, images: int = 1, pixel: Pixel = UNKNOWN) -> None:
        self._run, self._target, self._images, self._pixel = run, target, images, pixel
        self._thread = ThreadPoolExecutor(1, "mlflow-logger")
        self._pending: list[Future[None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._thread.shutdown(cancel_futures=kind is not None)
        if kind is None:
            self._settle()

    @property
    def reported(self) -> int:
        """Evaluations that have been logged already, also those of a run that was killed."""
        return self._run.last_step("evaluations")

    def log_round(self, evaluations: Sequence[Trial], new: Sequence[Trial], candidates: int) -> None:
        """Logs a round: best error, hypervolume and timings against the evaluations spent; a nested run with pictures.

        Args:
            evaluations: All evaluations, in the order of results.
            new: Those of this round.
            candidates: Candidates so far.
        """
        self._settle(done=True)
        self._pending.append(self._thread.submit(self._log_round, list(evaluations), list(new), candidates))

    def _settle(self, done: bool = False) -> None:
        """Raises what went wrong in the rounds written so far; waits for the others unless `done`."""
        waiting = [future for future in self._pending if done and not future.done()]
        for future in self._pending:
            if future not in waiting:
                future.result()
        self._pending = waiting

    def _log_round(self, evaluations: list[Trial], new: list[Trial], candidates: int) -> None:
        solved = [trial for trial in evaluations if trial.verified]
        if not solved:
            return
        step = len(evaluations)
        values, errors = self._values(solved), errors_by_both(self._target, solved)
        metrics = {
            "best_error": float(errors.min()),
            "evaluations": float(step * self._images),
            "candidates": float(candidates),
            "failed": float(len(evaluations) - len(solved)),
            "checks": float(sum(trial.is_checked for trial in solved)),
            **self._optima(values, errors),
        }
        self._run.log_metrics(metrics, step=step)
        name = f"evaluations {step - len(new) + 1} to {step}"
        spent = {f"seconds_{name}": seconds for name, seconds in total_seconds(new).items()}
        new, pictures = [trial for trial in new if trial.verified], {}
        if new:
            ranks = self._target.ranks(self._values(new), errors_by_both(self._target, new))
            order = np.argsort(ranks, kind="stable")[:GALLERY]
            best = [new[i].labels for i in order]
            pictures["gallery.png"] = as_png(gallery_figure([best], ["best first"], self._pixel))
        self._run.log_child(name, metrics | spent | self._parity(new), step, pictures)

    def log_result(self, result: CampaignResult) -> None:
        """Logs the end: the result, the report, candidates as a table and as files, figures."""
        self._settle()
        folder, search = Path(result.folder), result.search
        for name in ("result.json", "report.html", "campaign.yaml"):
            self._run.log_file(folder / name)
        for kind, designs in (
            ("candidates", result.candidates),
            ("misses", result.misses),
            ("from-data", result.from_data),
        ):
            if designs:
                self._run.log_folder(folder / kind, kind)
        self._run.log_tags({"verdict": result.verdict.kind})
        self._run.log_text(result.table.markdown(), "candidates.md")
        titles = [f"{100 * candidate.error_by_both:.2f} %" for candidate in result.candidates]
        self._run.log_figure(candidates_figure(list(result.images), titles, self._pixel), "candidates.png")
        for name, chart in report_charts(result).items():
            self._run.log_bytes(picture(chart.spec), f"charts/{name}.png")
        final = {f"seconds_{name}": seconds for name, seconds in search.timings}
        final |= {"utilization": search.utilization or 0.0, "second_discretization": float(search.checks)}
        if result.candidates:
            final["best_error_by_both"] = min(each.error_by_both for each in result.candidates)
        self._run.log_metrics(final, step=search.designs)

    def _values(self, trials: Sequence[Trial]) -> np.ndarray:
        return np.array([[trial.verified[name] for name in self._target.names] for trial in trials])

    def _optima(self, values: np.ndarray, errors: np.ndarray) -> dict[str, float]:
        """Best values of the optimised properties and, of several, the hypervolume, where the other goals are met."""
        chosen = np.flatnonzero(self._target.senses)
        met = values[errors <= self._target.tolerance]
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
                found[f"prediction_error_{name.replace('/', '_per_')}"] = float(mape(known[:, 1], known[:, 0]))
        return found


def hypervolume(objectives: np.ndarray, reference: np.ndarray) -> float:
    """Volume between the Pareto front of objectives `(n, M)`, to be maximised, and a reference point `(M,)`."""
    front = objectives[front_numbers(objectives) == 0]
    return float(Hypervolume(torch.from_numpy(np.asarray(reference, float))).compute(torch.from_numpy(front)))
