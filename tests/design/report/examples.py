"""A small result of a campaign, with its files."""

from pathlib import Path
from typing import Any

import numpy as np

from microdesign.design.report.export import write_design, write_image, write_labels
from microdesign.design.report.result import CampaignResult
from microdesign.design.report.result_parts import (
    AfterSearch,
    Band,
    BaselineResult,
    CandidateResult,
    ConstraintRange,
    EvaluatedDesign,
    FailedEvaluation,
    PopulationSummary,
    Robustness,
    RoundResult,
    SearchSummary,
    Timings,
)
from microdesign.design.report.verdict import Verdict
from microdesign.design.target.feasibility import Feasibility
from microdesign.design.target.target import Target
from tests.design.small_model import MATERIALS

SHAPE = 6, 8


def image(seed: int = 0, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return (np.random.default_rng(seed).random(shape) < 0.5).astype(np.uint8)


def candidate(folder: Path, shape: tuple[int, ...] = SHAPE, **changes: Any) -> CandidateResult:
    values = {
        "verified": {"Ex": 3.456},
        "predicted": {"Ex": 3.141, "kx": float("nan")},
        "error": 0.0123,
        "deviations": {"Ex": -0.0123},
        "component": 2,
        "constraints": {"volume_fraction": 0.4321},
        "novelty": 0.0456,
        "realism": 0.78,
        "volume_fraction": 0.4,
        "all_verified": {"Ex": 3.456, "Ey": 2.0},
        "robustness": Robustness(draws=8, spread={"Ex": 0.0321}, worst_error=0.2, share_within=0.75),
        "discretization_gap": {"Ex": 0.0654},
        "error_by_both": 0.0789,
        "z": (0.0, 1.0),
        "stage": "bayesian",
        "round": 2,
        "order": 11,
        "key": "k",
        "parent": "",
        "files": write_design(folder / "candidates" / "candidate-1.npy", image(0, shape), {"Ex": 3.456}),
    }
    return CandidateResult(**values | changes)


def design(key: str, verified: float, predicted: float, error: float, stage: str) -> EvaluatedDesign:
    return EvaluatedDesign(
        verified={"Ex": verified},
        drawn={"Ex": verified},
        predicted={"Ex": predicted},
        error=error,
        volume_fraction=0.4,
        stage=stage,
        key=key,
    )


def population() -> PopulationSummary:
    return PopulationSummary(
        values={"Ex": (2.5, 3.0, 3.9), "volume fraction": (0.2, 0.4, 0.6)},
        alike=3,
        two_point=Band(low=(1.0, 0.1, -0.1, -0.2), high=(1.0, 0.5, 0.2, 0.1)),
        chords=Band(low=(0.0, 0.1, 0.3, 0.4, 0.5, 0.7, 0.9), high=(0.0, 0.6, 0.8, 0.9, 1.0, 1.0, 1.0)),
    )


def search(folder: Path, shape: tuple[int, ...] = SHAPE, **changes: Any) -> SearchSummary:
    write_labels(folder / "rounds" / "round-000.npy", np.stack([image(2, shape), image(3, shape)]))
    shown = RoundResult(
        first=1,
        last=17,
        best_error=0.2,
        best_so_far=0.2,
        stages={"initial": 9, "bayesian": 8},
        images=str(folder / "rounds" / "round-000.npy"),
        shown=(2, 1),
    )
    values = {
        "evaluations": 17,
        "designs": 17,
        "stopped": "the budget of 17 evaluations is spent",
        "history": (0.2, 0.0123),
        "rounds": (shown,),
        "evaluated": (
            design("a", 4.2, 4.0, 0.2, "initial"),
            design("k", 3.456, 3.141, 0.0123, "bayesian"),
        ),
        "best_values": {},
        "failed": (FailedEvaluation(key="k", error="EvaluationError: no answer"),),
        "timings": Timings(proposing=1.0, waiting=2.0, evaluating=33.5),
        "utilization": 0.876,
    }
    return SearchSummary(**values | changes)


def campaign_result(folder: Path, shape: tuple[int, ...] = SHAPE, **changes: Any) -> CampaignResult:
    write_image(folder / "baselines" / "random.npy", image(1, shape))
    random = BaselineResult(verified={"Ex": 3.9}, error=0.111, of=17, image=str(folder / "baselines" / "random.npy"))
    values = {
        "target": Target(properties={"Ex": 3.5}, dims=len(shape)),
        "units": {"Ex": "<GPa>"},
        "materials": MATERIALS,
        "feasibility": Feasibility(bounds={"Ex": {"any": (1.0, 9.87), "isotropic": (1.0, float("inf"))}}),
        "verdict": Verdict(kind="met", sentence="Met: 1 distinct design."),
        "constraints": (ConstraintRange(name="volume_fraction", low=0.0, high=0.55),),
        "distinct": 0.1,
        "candidates": (candidate(folder, shape),),
        "baselines": {"training_set": None, "random": random},
        "population": population(),
        "search": search(folder, shape),
        "after_search": AfterSearch(evaluations=49, seconds=12.5),
        "evaluator": "fft",
        "model": "abc",
        "seed": 0,
        "config": "seed: 0\nfolder: <here>\n",
        "folder": str(folder),
        "ledger": str(folder / "evaluations"),
        "report": str(folder / "report.html"),
        "tracking_uri": "sqlite:///x.db",
    }
    return CampaignResult(**values | changes)
