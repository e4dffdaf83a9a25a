"""A second look at designs: the gap of two discretizations, twice the pixels, and what counts as met."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from microdesign.design.campaign.ask_tell import AskTell
from microdesign.design.campaign.discretizations import (
    SecondDiscretization,
    errors_by_both,
    gap,
    holds_by_both,
    leaves_doubt,
    on_twice_the_pixels,
)
from microdesign.design.campaign.engine import run_campaign
from microdesign.design.campaign.ledger import read_trials
from microdesign.design.campaign.trials import Trial, TrialResult, TrialState
from microdesign.design.target.like_with_like import OwnValue
from microdesign.design.target.target import Target
from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.evaluators.protocol import Values
from microdesign.physics.execution.store import ResultStore
from microdesign.physics.materials import Materials
from microdesign.physics.solver.homogenization import homogenize
from microdesign.surrogate.local import LocalSurrogate
from tests.design.campaign.test_ask_tell import settings

ROUGH = (np.random.default_rng(0).random((16, 16)) < 0.5).astype(np.uint8)
DISC = (((np.indices((16, 16)) - 7.5) ** 2).sum(0) < 30).astype(np.uint8)
STRIPES = np.repeat([0, 1], 8)[:, None].repeat(16, axis=1).astype(np.uint8)


def trial_of(labels: np.ndarray, target: Target, materials: Materials, **changes: Any) -> Trial:
    values = FFTEvaluator().evaluate(labels[None], materials)
    values |= dict(zip(target.names, target.table(values).T, strict=True))
    verified = {name: float(array[0]) for name, array in values.items()}
    record = {"number": 0, "key": "k", "labels": labels, "z": np.zeros(4), "component": 0, "round": 0}
    record |= {"stage": "initial", "parent": "", "model": "m", "predicted": {}, "state": TrialState.SUCCEEDED}
    return Trial(**record | {"verified": verified} | changes)


def second_of(target: Target, materials: Materials, folder: Path, evaluator: Any = None) -> SecondDiscretization:
    config = settings(folder, target=target.model_dump())
    return SecondDiscretization(config, evaluator or FFTEvaluator(), materials, ResultStore(folder / "results"))


def young(labels: np.ndarray, materials: Materials, discretization: str) -> float:
    return float(1 / np.linalg.inv(homogenize(labels, materials, discretization=discretization).stiffness[0])[0, 0])


def test_the_gap_is_that_of_two_solves(tmp_path: Path, materials: Materials) -> None:
    target = Target(properties={"Ex": 3.0, "kx/ky": 1.0, "C13": 0, "K": 2}, tolerance=10)
    second = second_of(target, materials, tmp_path)
    rough, stripes = second.check(
        [trial_of(each, target, materials, key=str(i)) for i, each in enumerate((ROUGH, STRIPES))]
    )
    found, exact = (gap(target, each) for each in (rough, stripes))
    assert found is not None
    assert exact is not None
    one, other = (young(ROUGH, materials, each) for each in ("q1", "rotated"))
    assert found["Ex"] == pytest.approx(abs(one - other) / one, rel=1e-3)
    assert exact["Ex"] < 1e-3 < found["Ex"]  # a laminate is the same by both
    assert not rough.fine  # no doubt at a tolerance of 1000 %
    assert second.evaluations == 2
    assert rough.timings["checking"] > 0


def test_a_target_is_met_only_by_both_and_doubt_is_settled_on_twice_the_pixels(
    tmp_path: Path, materials: Materials
) -> None:
    """Of one shape the values on a finer grid lie between those of the two discretizations, and nearer together."""
    stiff, soft = (young(DISC, materials, each) for each in ("q1", "rotated"))
    fine = [young(on_twice_the_pixels(DISC), materials, each) for each in ("q1", "rotated")]
    assert soft < fine[1] <= fine[0] < stiff
    assert fine[0] - fine[1] < (stiff - soft) / 2
    cases = (
        (0.99 * soft, True, False),  # no doubt
        ((soft + fine[1]) / 2, True, True),  # in doubt; on twice the pixels both say yes
        ((fine[0] + stiff) / 2, False, True),  # in doubt; both say no
        (1.01 * stiff, False, False),
    )
    for bound, holds, refined in cases:
        target = Target(properties={"Ex": {"at_least": bound}}, tolerance=0.5)
        second = second_of(target, materials, tmp_path)
        (trial,) = second.check([trial_of(DISC, target, materials)])
        assert holds_by_both(target, trial) is holds, bound
        assert bool(trial.fine) == bool(trial.fine_second) == refined, bound
        assert (errors_by_both(target, [trial])[0] <= 0.5) == holds, bound
        if refined:
            assert [trial.fine["Ex"], trial.fine_second["Ex"]] == pytest.approx(fine, rel=1e-3)
    narrow = Target(properties={"Ex": (stiff + soft) / 2}, tolerance=0.4 * (stiff - soft) / stiff)
    assert leaves_doubt(narrow, np.array([stiff]), np.array([soft]))  # neither meets it, the gap exceeds the tolerance


def test_goals_relative_to_an_image_are_judged_like_with_like(tmp_path: Path, materials: Materials) -> None:
    """An image is as stiff as itself by every discretization, though these are apart by more than is allowed."""
    by_each = [
        young(labels, materials, name) for labels in (ROUGH, on_twice_the_pixels(ROUGH)) for name in ("q1", "rotated")
    ]
    own = dict(zip(OwnValue.model_fields, by_each, strict=True))
    asked = {"properties": {"Ex": by_each[0]}, "tolerance": 0.01}
    relative, absolute = Target(**asked, relative_to={"Ex": own}), Target(**asked)
    (as_asked,) = second_of(absolute, materials, tmp_path).check([trial_of(ROUGH, absolute, materials)])
    assert holds_by_both(absolute, as_asked) is False
    second = second_of(relative, materials, tmp_path)
    (same,) = second.check([trial_of(ROUGH, relative, materials)])
    assert holds_by_both(relative, same)
    assert errors_by_both(relative, [same])[0] < 1e-3
    assert gap(relative, same) == pytest.approx({"Ex": 0}, abs=1e-3)
    assert not same.fine  # there is no doubt
    assert same.second == as_asked.second  # the ledger keeps what physics has said
    assert second.errors(ROUGH[None], np.array([[by_each[0]]]))[0] < 1e-3
    # By whichever discretization a design is stiffer than the image, it counts as stiffer by as much.
    for name, values in (("second", same.second), ("fine", as_asked.fine), ("fine_second", as_asked.fine_second)):
        found = relative.like_with_like(np.array([1.2 * values["Ex"]]), name)
        assert found[0] / by_each[0] == pytest.approx(1.2, rel=1e-3)


def test_nothing_is_computed_twice(tmp_path: Path, materials: Materials, monkeypatch: pytest.MonkeyPatch) -> None:
    target = Target(properties={"Ex": young(ROUGH, materials, "q1")}, tolerance=0.01)
    trial = trial_of(ROUGH, target, materials)
    (checked,) = second_of(target, materials, tmp_path).check([trial])
    assert checked.fine

    def refuse(self: FFTEvaluator, images: np.ndarray, materials: Materials) -> Values:
        raise AssertionError("physics is asked again")

    monkeypatch.setattr(FFTEvaluator, "evaluate", refuse)
    second = second_of(target, materials, tmp_path)
    assert second.check([checked]) == [checked]
    assert second.evaluations == 0
    again = second.check([trial])[0]  # of another campaign of the same store
    assert (again.second, again.fine, again.fine_second) == (checked.second, checked.fine, checked.fine_second)
    assert second.errors(ROUGH[None], np.array([[trial.verified["Ex"]]])) == errors_by_both(target, [checked])


def test_another_physics_has_no_gap(tmp_path: Path, materials: Materials) -> None:
    class Other:
        fingerprint = "other"

        def evaluate(self, images: np.ndarray, materials: Materials) -> Values:
            return {"Ex": images.mean((1, 2))}

    target = Target(properties={"Ex": 1.0})
    assert not second_of(target, materials, tmp_path, Other()).exists
    trial = trial_of(ROUGH, target, materials)
    assert gap(target, trial) is None
    assert holds_by_both(target, trial) is None
    assert errors_by_both(target, [trial]) == target.errors(np.array([[trial.verified["Ex"]]]))
    unknown = replace(trial, second={"Ex": np.nan})  # asked, without an answer
    assert unknown.is_checked
    assert holds_by_both(target, unknown) is None
    assert errors_by_both(target, [unknown]) == errors_by_both(target, [trial])


def test_a_campaign_goes_on_where_its_candidates_are_refuted(
    tmp_path: Path, surrogate: LocalSurrogate, materials: Materials
) -> None:
    """By the evaluator alone the goal is reached; a candidate that the second discretization refutes is none."""
    config = settings(tmp_path, candidates=1, goal=0.2)
    with AskTell(config, surrogate, materials, "laboratory") as campaign:
        for number, (own, second) in enumerate([(3.2, 6.4), (3.3, 3.4)]):
            (trial,) = campaign.ask(1)
            campaign.tell([TrialResult(trial.key, {"Ex": own, "kx": 3.2})])
            assert campaign.reason_to_stop()
            (open_one,) = campaign.unchecked()
            assert open_one.number == number
            campaign.ledger.record([replace(open_one, second={"Ex": second, "kx": 3.2})])
            assert campaign.unchecked() == []
            assert bool(campaign.reason_to_stop()) == bool(number)
        assert "and meet the target by the second too" in campaign.reason_to_stop()
        assert [trial.number for trial in campaign.candidates()] == [1]
        (miss,) = campaign.near_misses(1)
        assert miss.number == 0
        assert campaign.errors([miss])[0] == pytest.approx(1.0)
    assert [trial.second["Ex"] for trial in read_trials(str(tmp_path))[0].evaluations] == [6.4, 3.4]
    with AskTell(config.model_copy(update={"checks": 1}), surrogate, materials, "laboratory") as campaign:
        assert campaign.candidates()  # checked already
        (trial,) = campaign.ask(1)
        campaign.tell([TrialResult(trial.key, {"Ex": 3.2, "kx": 3.2})])
        assert trial.number not in [each.number for each in campaign.candidates()]  # no check is left for it


def test_the_candidates_of_a_search_hold_by_both(
    tmp_path: Path, surrogate: LocalSurrogate, materials: Materials
) -> None:
    target = {"properties": {"Ex": {"at_least": 2.0}, "kx": {"at_most": 5.0}}, "tolerance": 0.05}
    config = settings(
        tmp_path, target=target, evaluations=6, candidates=2, runner="local", runner_settings={"workers": 1}
    )
    store = ResultStore(tmp_path / "results")
    found = run_campaign(config, surrogate, FFTEvaluator(), materials, store=store)
    assert found.candidates
    for candidate in found.candidates:
        assert candidate.is_checked
        assert holds_by_both(config.target, candidate)
        labels = on_twice_the_pixels(candidate.labels) if candidate.fine else candidate.labels
        for discretization in ("q1", "rotated"):
            assert young(labels, materials, discretization) >= 2.0 * (1 - 1e-3)


def test_near_misses_have_their_gap_too(tmp_path: Path, surrogate: LocalSurrogate, materials: Materials) -> None:
    """Where nothing meets the target; one check is left, for without any the other designs would be doubted."""
    local = {"runner": "local", "runner_settings": {"workers": 1}, "evaluations": 6, "candidates": 3}
    store = ResultStore(tmp_path / "results")
    # Of two that are checked one may fall behind a design that is not.
    for checks, checked, least in ((64, 3, 3), (3, 2, 1), (0, 0, 0)):
        target = {"properties": {"Ex": 9.0}, "tolerance": 0.01}
        config = settings(tmp_path / f"{checks}", target=target, checks=checks, **local)
        found = run_campaign(config, surrogate, FFTEvaluator(), materials, store=store)
        assert found.candidates == []
        looked_at = [trial.is_checked for trial in sorted(found.evaluations, key=lambda trial: -trial.verified["Ex"])]
        assert looked_at[0] == bool(checks)
        assert checked <= sum(looked_at) <= 3 * checked  # a gap may put a design behind another, checked then
        assert sum(looked_at) < max(1, checks)
        with AskTell(config, surrogate, materials, FFTEvaluator().fingerprint) as campaign:
            delivered = campaign.near_misses(3)
        assert least <= sum(miss.is_checked for miss in delivered) <= checked
