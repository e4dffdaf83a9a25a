"""A campaign on Ray: everything on record at once, workers that fail, hang or die, and how busy they are."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from microdesign.core.errors import EvaluationError, InputError
from microdesign.design.campaign.ask_tell import AskTell
from microdesign.design.campaign.engine import SearchOutcome, run_campaign
from microdesign.design.campaign.ledger import read_trials
from microdesign.design.campaign.trials import TrialState
from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.evaluators.protocol import Values
from microdesign.physics.execution.store import ResultStore
from microdesign.physics.materials import Materials
from microdesign.physics.properties import engineering_constants
from microdesign.physics.solver.homogenization import homogenize
from microdesign.surrogate.local import LocalSurrogate
from tests.design.campaign.test_ask_tell import parts, settings

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("local_ray")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engine") / "run"


@pytest.fixture(scope="module")
def answer(local_ray: None, folder: Path, surrogate: LocalSurrogate, materials: Materials) -> SearchOutcome:
    return run_campaign(settings(folder), surrogate, FFTEvaluator(), materials, store=ResultStore(folder / "results"))


def wait_for(condition: Callable[[], bool]) -> None:
    """Waits until it holds; at most 100 s."""
    limit = time.monotonic() + 100
    while not condition():
        assert time.monotonic() < limit, "it waiting for a training in vain"
        time.sleep(0.05)


class Refuses(FFTEvaluator):
    def evaluate(self, images: np.ndarray, materials: Materials) -> Values:
        raise AssertionError("physics is asked again")


def test_the_budget_is_spent_on_record(answer: SearchOutcome, folder: Path) -> None:
    assert len(answer.evaluations) == 14
    assert answer.stopped == "the budget of 14 evaluations is spent"
    assert answer.resumed == 0
    assert 0 < answer.utilization < 1.1  # an answer is collected a little after its end
    for trial in answer.evaluations:
        assert trial.state is TrialState.SUCCEEDED
        assert trial.attempts == 1
        assert "/" in trial.worker
        assert 0 < trial.timings["evaluating"] < trial.timings["answered_at"]


def test_candidates_are_verified_by_physics(answer: SearchOutcome, materials: Materials) -> None:
    assert answer.candidates
    for candidate in answer.candidates:
        result = homogenize(candidate.labels, materials, tolerance=1e-6)
        for name, values in engineering_constants(result.stiffness, result.conductivity).items():
            assert candidate.verified[name] == pytest.approx(values[0], rel=5e-4)


def test_a_finished_campaign_does_nothing_new(
    answer: SearchOutcome, folder: Path, surrogate: LocalSurrogate, materials: Materials
) -> None:
    before, lines = parts(folder), list[str]()
    again = run_campaign(settings(folder), surrogate, Refuses(), materials, lines.append)
    assert parts(folder) == before
    assert again.resumed == 14
    assert [e.key for e in again.candidates] == [e.key for e in answer.candidates]
    assert (again.history, again.stopped) == (answer.history, answer.stopped)
    assert lines == ["resumed with 14 evaluations on record"]


def test_two_campaigns_share_a_store(
    answer: SearchOutcome, folder: Path, surrogate: LocalSurrogate, materials: Materials, tmp_path: Path
) -> None:
    config = settings(tmp_path / "other", evaluations=2)  # the first draws, whatever the order of answers
    again = run_campaign(config, surrogate, Refuses(), materials, store=ResultStore(folder / "results"))
    assert [trial.worker for trial in again.evaluations] == ["store"] * 2
    assert all(trial.attempts == 0 for trial in again.evaluations)


def test_trials_left_open_are_taken_from_the_store(
    answer: SearchOutcome, folder: Path, surrogate: LocalSurrogate, materials: Materials, tmp_path: Path
) -> None:
    config = settings(tmp_path / "killed", evaluations=2)
    with AskTell(config, surrogate, materials, FFTEvaluator().fingerprint) as left:
        left.start(left.ask(2))
    again = run_campaign(config, surrogate, Refuses(), materials, store=ResultStore(folder / "results"))
    assert [trial.worker for trial in again.evaluations] == ["store"] * 2


def test_an_evaluation_that_does_not_fit_is_refused(
    local_ray: None, surrogate: LocalSurrogate, materials: Materials, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="An evaluation asks for 16 CPU; this machine's Ray has 2: change"):
        run_campaign(settings(tmp_path, cpus=16), surrogate, FFTEvaluator(), materials)


def test_refused_before_anything_is_computed(surrogate: LocalSurrogate, materials: Materials, tmp_path: Path) -> None:
    for properties, message in [
        ({"Ex": 11.0, "kx": 3.0}, r"target Ex = 11 is out of reach: .* give Ex from 1 to 10 \(Voigt-Reuss bounds\)"),
        ({"Ex": 3.0, "kx": 0.5}, r"target kx = 0\.5 is out of reach: .* give kx from 1 to 10"),
        ({"Ex": 9.5, "kx": 1.2}, r"exclude each other: no volume fractions satisfy the Voigt-Reuss bounds of all"),
        ({"Ex": 3.0, "colour": 3.0}, "target 'colour' is no property"),
    ]:
        config = settings(tmp_path / "none", target={"properties": properties})
        with pytest.raises(InputError, match=message):
            run_campaign(config, surrogate, FFTEvaluator(), materials)
        assert not (tmp_path / "none").exists()


def test_physics_without_answers_ends_the_campaign(
    surrogate: LocalSurrogate, materials: Materials, tmp_path: Path
) -> None:
    class Mute(FFTEvaluator):
        def evaluate(self, images: np.ndarray, materials: Materials) -> Values:
            raise EvaluationError("no answer")

    with pytest.raises(EvaluationError, match="values for none of the first 14 designs: EvaluationError: no answer"):
        run_campaign(settings(tmp_path), surrogate, Mute(), materials)


def test_physics_that_never_answers_does_not_outlast_the_budget(
    surrogate: LocalSurrogate, materials: Materials, tmp_path: Path
) -> None:
    class Hangs(FFTEvaluator):
        def evaluate(self, images: np.ndarray, materials: Materials) -> Values:
            time.sleep(600)
            raise AssertionError("it was not ended")

    with pytest.raises(EvaluationError, match=r"the budget of 0\.02 minutes is spent"):
        run_campaign(settings(tmp_path, minutes=0.02), surrogate, Hangs(), materials)


def test_what_raises_hangs_dies_or_is_no_number_costs_itself(
    surrogate: LocalSurrogate, materials: Materials, tmp_path: Path
) -> None:
    """The order of evaluations is read from marks on disk, one for each call."""
    marks = tmp_path / "marks"
    marks.mkdir()

    class Troubled(FFTEvaluator):
        def evaluate(self, images: np.ndarray, materials: Materials) -> Values:
            number = len(list(marks.iterdir()))
            (marks / f"{number}-{os.getpid()}-{time.time_ns()}").touch()
            if number == 1:
                raise RuntimeError("no licence")
            if number == 2:
                time.sleep(600)
            if number == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            values = super().evaluate(images, materials)
            return {name: array * np.nan for name, array in values.items()} if number == 4 else values

    config = settings(tmp_path / "run", time_limit=10, evaluations=10, cpus=2, checks=0)  # one at a time
    answer = run_campaign(config, surrogate, Troubled(), materials)
    failed = [trial for trial in answer.evaluations if trial.state is TrialState.FAILED]
    assert sorted(trial.error.split(":")[0] for trial in failed) == [
        "EvaluationError",
        "RuntimeError",
        "TimeoutError",
    ]
    assert {trial.attempts for trial in answer.evaluations} == {1}  # a worker that is killed is no trial's fault
    assert len(answer.evaluations) == 10
    assert len(list(marks.iterdir())) == 11


@pytest.mark.slow
def test_the_workers_are_kept_busy(surrogate: LocalSurrogate, materials: Materials, tmp_path: Path) -> None:
    class Uneven(FFTEvaluator):
        """0.2 to 1 s, by the image."""

        def evaluate(self, images: np.ndarray, materials: Materials) -> Values:
            values = super().evaluate(images, materials)
            time.sleep(0.2 + 0.8 * (int(images.sum()) % 7) / 6)
            return values

    config = settings(tmp_path, evaluations=30, screened=10, per_round=10)
    answer = run_campaign(config, surrogate, Uneven(), materials)
    trials = answer.evaluations
    assert sum(trial.stage == "initial" for trial in trials) <= 10
    # How busy a quiet machine keeps them is the benchmark's to show: here other tests take processors. But designs are
    # always proposed while others are evaluated.
    beside = []
    for number in sorted({trial.round for trial in trials} - {0}):
        round_ = [trial for trial in trials if trial.round == number]
        begun = round_[0].timings["proposed_at"] - sum(trial.timings["proposing"] for trial in round_)
        beside.append(any(t.timings["proposed_at"] <= begun < t.timings["answered_at"] for t in trials))
    assert len(beside) > 3
    assert sum(beside) >= len(beside) - 1, beside


def test_a_campaign_that_was_cut_off_goes_on_where_it_was(
    surrogate: LocalSurrogate, materials: Materials, tmp_path: Path
) -> None:
    """What an interrupted run had proposed and begun is evaluated by the next one, and counts in its budget."""

    def stop(line: str) -> None:
        raise KeyboardInterrupt

    config = settings(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run_campaign(config, surrogate, FFTEvaluator(), materials, stop)  # at its first line, after four answers
    cut, _ = read_trials(str(tmp_path))
    assert 4 <= len(cut) < 14
    waiting = [trial.key for trial in cut.open]
    answer = run_campaign(config, surrogate, FFTEvaluator(), materials)
    assert answer.resumed == len(cut)
    assert [trial.key for trial in answer.evaluations[: len(cut)]] == [trial.key for trial in cut.evaluations]
    later = [trial.key for trial in answer.evaluations[len(cut) :]]
    assert set(waiting) <= set(later)
    assert len(answer.evaluations) == 14


def test_the_model_learns_on_the_way(surrogate: LocalSurrogate, materials: Materials, tmp_path: Path) -> None:
    """It learns from the first answers, and again from more: how many come meanwhile depends on the machine."""
    seen: list[int] = []

    def retrain(trials: list[Any]) -> LocalSurrogate:
        seen.append(len(trials))
        return surrogate

    config = settings(tmp_path, retrain_every=5, evaluations=40)
    run_campaign(config, surrogate, FFTEvaluator(), materials, retrain=retrain)
    assert seen[0] == 5
    assert len(seen) > 1
    assert seen == sorted({count - count % 5 for count in seen})


def test_physics_goes_on_while_the_model_learns(
    surrogate: LocalSurrogate, materials: Materials, tmp_path: Path
) -> None:
    """It learns until four more answers are on record, and what is proposed afterwards is of the model it became."""

    class Renamed(LocalSurrogate):
        digest = "retrained"

    def retrain(trials: list[Any]) -> LocalSurrogate:
        wait_for(lambda: len(read_trials(str(tmp_path))[0]) >= len(trials) + 4)
        return Renamed(surrogate.bundle)

    config = settings(tmp_path, retrain_every=5, evaluations=20)
    answer = run_campaign(config, surrogate, FFTEvaluator(), materials, retrain=retrain)
    models = [trial.model for trial in sorted(answer.evaluations, key=lambda trial: trial.number)]
    assert models.index("retrained") >= 9
    assert set(models[models.index("retrained") :]) == {"retrained"}


def test_a_training_with_all_processors_holds_physics_up_until_it_is_done(
    surrogate: LocalSurrogate, materials: Materials, tmp_path: Path
) -> None:
    config = settings(tmp_path, retrain_every=5, retraining={"cpus": 8})
    answers: list[tuple[int, int]] = []

    def retrain(trials: list[Any]) -> LocalSurrogate:
        # What was begun before.
        wait_for(lambda: not any(trial.state is TrialState.RUNNING for trial in read_trials(str(tmp_path))[0].open))
        before = len(read_trials(str(tmp_path))[0].evaluations)
        time.sleep(3)
        answers.append((before, len(read_trials(str(tmp_path))[0].evaluations)))
        return surrogate

    answer = run_campaign(config, surrogate, FFTEvaluator(), materials, retrain=retrain)
    assert len(answer.evaluations) == 14
    assert answers  # two, or one where the search has ended before the second is due
    assert [after - before for before, after in answers] == [0] * len(answers)


def test_a_training_that_fails_ends_the_campaign_with_its_reason(
    surrogate: LocalSurrogate, materials: Materials, tmp_path: Path
) -> None:
    def retrain(trials: list[Any]) -> LocalSurrogate:
        raise InputError("the data set is gone")

    with pytest.raises(InputError, match="the data set is gone"):
        run_campaign(settings(tmp_path, retrain_every=5), surrogate, FFTEvaluator(), materials, retrain=retrain)


@pytest.mark.slow
def test_a_dead_node_costs_nothing_but_time(tmp_path: Path) -> None:
    script = Path(__file__).parents[1] / "node_death.py"
    done = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    trials = json.loads((tmp_path / "trials.json").read_text())
    assert [state for state, _, _ in trials] == ["succeeded"] * 8
    assert [attempts for _, attempts, _ in trials] == [1] * 8  # none is to blame
    begun = Counter(path.name.rpartition("-")[0] for path in (tmp_path / "begun").iterdir())
    assert 1 <= sum(times > 1 for times in begun.values()) <= 2


def test_a_training_that_the_search_outruns_may_fail(
    surrogate: LocalSurrogate, materials: Materials, tmp_path: Path
) -> None:
    """The campaign has its answer all the same, and says why it ended before it waits."""
    lines = list[str]()

    def retrain(trials: list[Any]) -> LocalSurrogate:
        wait_for(lambda: any("waiting for a training" in line for line in lines))
        raise InputError("the data set is gone")

    config = settings(tmp_path, retrain_every=5)
    answer = run_campaign(config, surrogate, FFTEvaluator(), materials, lines.append, retrain=retrain)
    assert len(answer.evaluations) == 14
    (waits,) = (line for line in lines if "waiting for a training" in line)
    assert waits.startswith("the budget of 14 evaluations is spent; waiting for a training")
    assert "the training failed: the data set is gone" in lines
    assert 0 < answer.utilization <= 1


def test_no_training_is_begun_whose_model_could_propose_nothing(
    surrogate: LocalSurrogate, materials: Materials, tmp_path: Path
) -> None:
    def retrain(trials: list[Any]) -> LocalSurrogate:
        raise AssertionError("it has been begun")

    config = settings(tmp_path, retrain_every=14)
    assert len(run_campaign(config, surrogate, FFTEvaluator(), materials, retrain=retrain).evaluations) == 14


def test_a_resumed_search_goes_on_with_the_model_that_had_learned(
    surrogate: LocalSurrogate, materials: Materials, tmp_path: Path
) -> None:
    class Renamed(LocalSurrogate):
        digest = "retrained"

    def retrain(trials: list[Any]) -> LocalSurrogate:
        time.sleep(1)  # long enough for a proposal of the first model
        return Renamed(surrogate.bundle)

    run_campaign(settings(tmp_path, evaluations=6), surrogate, FFTEvaluator(), materials)
    config = settings(tmp_path, retrain_every=5)
    answer = run_campaign(config, surrogate, FFTEvaluator(), materials, retrain=retrain)
    models = [trial.model for trial in sorted(answer.evaluations, key=lambda trial: trial.number)]
    assert models[6:] == ["retrained"] * 8
