"""The sweep's record, and which trials are best."""

from pathlib import Path

import numpy as np
import optuna
import torch

from microdesign.learning.sweep.sweep_trials import SweepTrial, SweepTrialStore, balanced_best, pareto_set
from tests.cases import case

CHOICE = {"objective.loss": "mse", "model.network.widths": [8, 16]}


def test_a_trial_comes_back_and_keeps_its_state_until_it_is_over(tmp_path: Path) -> None:
    store = SweepTrialStore(tmp_path)
    assert store.read(CHOICE) is None
    assert store.load_state(CHOICE) is None
    store.write(SweepTrial(choice=CHOICE))
    store.save_state(CHOICE, {"epoch": 1, "model": {"w": torch.arange(3.0)}})
    again = SweepTrialStore(tmp_path)
    state = again.load_state(CHOICE)
    assert state is not None
    assert torch.equal(state["model"]["w"], torch.arange(3.0))
    assert [trial.is_over for trial in again.all()] == [False]
    again.write(SweepTrial(choice=CHOICE, status="finished", epochs=2, metrics={"mape": 0.1}))
    assert store.load_state(CHOICE) is None
    (trial,) = store.all()
    assert trial.has_result
    assert trial.metrics == {"mape": 0.1}
    assert dict(trial.choice) == CHOICE


def test_the_order_of_the_settings_does_not_matter(tmp_path: Path) -> None:
    store = SweepTrialStore(tmp_path)
    assert store.path(CHOICE, "json") == store.path(dict(reversed(CHOICE.items())), "json")
    assert store.path(CHOICE, "json") != store.path(CHOICE | {"objective.loss": "bce"}, "json")


def test_pareto_set_is_optuna_s() -> None:
    for objectives in [1, 2, 3]:
        with case(objectives=objectives):
            values = np.random.default_rng(objectives).integers(0, 6, (40, objectives)).astype(float)
            study = optuna.create_study(directions=["minimize"] * objectives)
            for row in values:
                study.add_trial(optuna.trial.create_trial(values=list(row)))
            expected = {trial.number for trial in study.best_trials} if objectives > 1 else None
            found = set(np.flatnonzero(pareto_set(values)).tolist())
            assert found == (expected or set(np.flatnonzero(values[:, 0] == values.min()).tolist()))
            assert balanced_best(values) in found


def test_a_trial_without_a_value_is_never_best() -> None:
    values = np.array([[np.nan, 0.0], [1.0, 1.0], [2.0, 0.5]])
    assert pareto_set(values).tolist() == [False, True, True]
    assert balanced_best(values) in (1, 2)


def test_the_balanced_best_is_good_at_everything() -> None:
    # The first two are best at one objective and among the worst at the other.
    values = np.array([[0.0, 9.0], [9.0, 0.0], [1.0, 1.0], [5.0, 5.0], [6.0, 4.0]])
    assert balanced_best(values) == 2
