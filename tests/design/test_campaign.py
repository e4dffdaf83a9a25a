"""A whole campaign on a random model and real physics: budget, record, constraints, refusals."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from microdesign.design.campaign import Answer, CampaignConfig, run_campaign
from microdesign.design.distinctness import is_distinct, statistics_of
from microdesign.errors import EvaluationError, InputError
from microdesign.model.surrogate import LocalSurrogate
from microdesign.physics.evaluator import FFTEvaluator, Values
from microdesign.physics.materials import Materials
from microdesign.physics.properties import engineering_constants
from microdesign.physics.solver import homogenize

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("local_ray")]

TARGET = {"properties": {"Ex": 3.2, "kx": 3.2}, "tolerance": 0.3, "constraints": {"volume_fraction": [0.45, 0.6]}}
SMALL = {"samples": 48, "screened": 6, "per_round": 4, "evaluations": 14, "candidates": 3, "goal": 1e-6}


def settings(folder: Path, **changes: Any) -> CampaignConfig:
    values = {"target": TARGET, "folder": str(folder), "refinement": {"pool": 16}, **SMALL}
    return CampaignConfig.model_validate(values | changes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("campaign") / "run"


@pytest.fixture(scope="module")
def answer(local_ray: None, folder: Path, surrogate: LocalSurrogate, materials: Materials) -> Answer:
    return run_campaign(settings(folder), surrogate, FFTEvaluator(), materials)


def parts(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "evaluations").iterdir()}


def test_the_budget_is_spent_and_not_exceeded(answer: Answer) -> None:
    assert len(answer.evaluations) == 14
    assert answer.stopped == "the budget of 14 evaluations is spent"
    assert np.bincount([e.round for e in answer.evaluations])[0] == 6
    assert len({e.key for e in answer.evaluations}) == 14
    assert answer.resumed == 0


def test_the_budget_limits_the_first_round_too(surrogate: LocalSurrogate, materials: Materials, tmp_path: Path) -> None:
    config = settings(tmp_path, evaluations=3, screened=6)
    assert len(run_campaign(config, surrogate, FFTEvaluator(), materials).evaluations) == 3


def test_candidates_are_verified_by_physics(answer: Answer, materials: Materials) -> None:
    assert answer.candidates
    for candidate in answer.candidates:
        result = homogenize(candidate.labels, materials, tolerance=1e-6)
        for name, values in engineering_constants(result.stiffness, result.conductivity).items():
            assert candidate.verified[name] == pytest.approx(values[0], rel=5e-4)


def test_candidates_keep_tolerance_constraint_and_distance(answer: Answer) -> None:
    errors = [max(abs(e.verified[name] / 3.2 - 1) for name in ("Ex", "kx")) for e in answer.candidates]
    assert errors == sorted(errors)
    assert errors[0] == pytest.approx(answer.history[-1])
    assert max(errors) <= 0.3
    assert all(0.45 <= e.labels.mean() <= 0.6 for e in answer.evaluations)
    statistics = statistics_of(np.stack([e.labels for e in answer.candidates]))
    assert all(is_distinct(statistics[i], statistics[:i]) for i in range(len(statistics)))


def test_history_never_rises(answer: Answer) -> None:
    assert answer.history == sorted(answer.history, reverse=True)
    assert len(answer.history) == 1 + max(e.round for e in answer.evaluations)


def test_refined_designs_name_their_parents(answer: Answer) -> None:
    keys = {e.key for e in answer.evaluations}
    for evaluation in answer.evaluations:
        assert (evaluation.parent in keys) if evaluation.round else (evaluation.parent == "")


def test_a_finished_campaign_does_nothing_new(
    answer: Answer, folder: Path, surrogate: LocalSurrogate, materials: Materials
) -> None:
    class Refuses(FFTEvaluator):
        def evaluate(self, images: np.ndarray, materials: Materials) -> Values:
            raise AssertionError("physics is asked again")

    before, lines = parts(folder), list[str]()
    again = run_campaign(settings(folder), surrogate, Refuses(), materials, lines.append)
    assert parts(folder) == before
    assert again.resumed == 14
    assert [e.key for e in again.candidates] == [e.key for e in answer.candidates]
    assert (again.history, again.stopped) == (answer.history, answer.stopped)
    assert lines == ["resumed with 14 evaluations on record"]


def test_a_larger_budget_goes_on(
    answer: Answer, folder: Path, surrogate: LocalSurrogate, materials: Materials, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    (copy / "evaluations").mkdir(parents=True)
    (copy / "campaign.json").write_bytes((folder / "campaign.json").read_bytes())
    for name, content in parts(folder).items():
        (copy / "evaluations" / name).write_bytes(content)
    more = run_campaign(settings(copy, evaluations=16), surrogate, FFTEvaluator(), materials)
    assert (more.resumed, len(more.evaluations)) == (14, 16)
    assert parts(copy).items() >= parts(folder).items()


def test_the_folder_of_another_campaign_is_refused(
    answer: Answer, folder: Path, surrogate: LocalSurrogate, materials: Materials
) -> None:
    with pytest.raises(InputError, match="another seed"):
        run_campaign(settings(folder, seed=1), surrogate, FFTEvaluator(), materials)


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"Ex": 11.0, "kx": 3.0}, r"target Ex = 11 is out of reach: .* give Ex from 1 to 10 \(Voigt-Reuss bounds\)"),
        ({"Ex": 3.0, "kx": 0.5}, r"target kx = 0\.5 is out of reach: .* give kx from 1 to 10"),
        ({"Ex": 9.5, "kx": 1.2}, r"exclude each other: no volume fractions satisfy the Voigt-Reuss bounds of all"),
        ({"Ex": 3.0, "colour": 3.0}, "target 'colour' is no property"),
    ],
)
def test_refused_before_anything_is_computed(
    properties: dict[str, float], message: str, surrogate: LocalSurrogate, materials: Materials, tmp_path: Path
) -> None:
    config = settings(tmp_path / "none", target={"properties": properties})
    with pytest.raises(InputError, match=message):
        run_campaign(config, surrogate, FFTEvaluator(), materials)
    assert not (tmp_path / "none").exists()


def test_a_constraint_that_no_draw_meets(surrogate: LocalSurrogate, materials: Materials, tmp_path: Path) -> None:
    config = settings(tmp_path, target=TARGET | {"constraints": {"volume_fraction": [0.98, 0.99]}})
    with pytest.raises(InputError, match="No draw satisfies the target's constraints"):
        run_campaign(config, surrogate, FFTEvaluator(), materials)


def test_physics_without_answers_ends_the_campaign(
    surrogate: LocalSurrogate, materials: Materials, tmp_path: Path
) -> None:
    class Mute(FFTEvaluator):
        def evaluate(self, images: np.ndarray, materials: Materials) -> Values:
            raise EvaluationError("no answer")

    with pytest.raises(EvaluationError, match="fewer than 2 of the first designs: EvaluationError: no answer"):
        run_campaign(settings(tmp_path), surrogate, Mute(), materials)
