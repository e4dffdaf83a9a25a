"""What a sweep varies: validated before anything runs, and the same for Optuna as for people."""

import numpy as np
import optuna
import pytest
from pydantic import TypeAdapter

from microdesign.core.config import changed
from microdesign.core.errors import InputError
from microdesign.learning.sweep.search_space import (
    Range,
    Space,
    as_suggestion,
    check_space,
    combinations,
    distributions,
    suggested,
)
from microdesign.learning.training.config.loop_config import LoopConfig
from tests.cases import case

LOOP = LoopConfig()


def space(**settings: object) -> Space:
    return TypeAdapter(Space).validate_python({name.replace("__", "."): value for name, value in settings.items()})


def test_settings_are_put_in_by_their_dotted_names() -> None:
    loop = changed(
        LOOP,
        {"optimizer.learning_rate": 0.1, "objective.weights.cess": 3, "model.network.widths": [8, 16, 32]},
        "the sweep",
    )
    assert loop.optimizer.learning_rate == 0.1
    assert loop.objective.weights == {**LOOP.objective.weights, "cess": 3}
    assert list(loop.model.network.widths) == [8, 16, 32]
    assert loop.model.prior == LOOP.model.prior


def test_what_is_no_setting_is_refused() -> None:
    for setting, value, message in [
        ("loop.epochs", 3, "the sweep: unknown key 'loop'"),
        ("epochs.more", 3, "the sweep: epochs.more: 'epochs' is a value, not a section"),
        ("model.network.widths.9", 3, "'model.network.widths' is a list of 4; expected a position in it, not '9'"),
        ("colour", "red", "unknown key 'colour'"),
        ("objective.loss", "magic", "magic"),
        ("optimizer.learning_rate", -1, "'optimizer.learning_rate' = -1 is not valid"),
    ]:
        with case(setting=setting, value=value, message=message), pytest.raises(InputError, match=message):
            changed(LOOP, {setting: value}, "the sweep")


def test_every_value_is_tried_beforehand() -> None:
    for given, message in [
        ({}, "space is empty"),
        ({"objective__loss": []}, "gives no value for 'objective.loss'"),
        ({"objective__loss": ["mse", "magic"]}, "magic"),
        ({"optimizer__learning_rate": {"uniform": [-1, 1]}}, "'optimizer.learning_rate' = -1"),
        ({"model__prior__components": {"integers": [2, 100]}}, "'model.prior.components' = 100"),
    ]:
        with case(given=given, message=message), pytest.raises(InputError, match=message):
            check_space(space(**given), LOOP, grid=False)


def test_a_grid_takes_lists_alone() -> None:
    with pytest.raises(InputError, match=r"gives a range for 'optimizer.learning_rate'; a grid needs a list"):
        check_space(space(optimizer__learning_rate={"uniform": [0.1, 1]}), LOOP, grid=True)
    check_space(space(optimizer__learning_rate=[0.1, 1]), LOOP, grid=True)


def test_ranges_that_are_none() -> None:
    for given, message in [
        ({}, "expected one of uniform, loguniform and integers"),
        ({"uniform": [0, 1], "integers": [0, 1]}, "expected one of uniform"),
        ({"uniform": [1, 1]}, "not in order"),
        ({"loguniform": [0, 1]}, "not positive"),
    ]:
        with case(given=given, message=message), pytest.raises(ValueError, match=message):
            Range.model_validate(given)


def test_combinations_are_all_of_them() -> None:
    found = list(combinations(space(epochs=[1, 2], objective__loss=["mse", "bce"])))
    assert found == [{"epochs": e, "objective.loss": loss} for e in (1, 2) for loss in ("mse", "bce")]


def test_optuna_draws_what_the_space_says() -> None:
    settings = space(
        optimizer__learning_rate={"loguniform": [1e-4, 1e-2]},
        model__prior__components={"integers": [2, 4]},
        model__network__widths=[[8, 8], [8, 16]],
        objective__beta={"uniform": [0, 1]},
    )
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = []
    for _ in range(200):
        trial = study.ask(distributions(settings))
        choice = suggested(settings, trial.params)
        assert as_suggestion(settings, choice) == trial.params
        drawn.append(choice)
    rates = np.array([choice["optimizer.learning_rate"] for choice in drawn])
    assert 1e-4 <= rates.min() < 2e-4
    assert 5e-3 < rates.max() <= 1e-2
    assert np.median(rates) == pytest.approx(1e-3, rel=0.4)
    assert {choice["model.prior.components"] for choice in drawn} == {2, 3, 4}
    assert {tuple(choice["model.network.widths"]) for choice in drawn} == {(8, 8), (8, 16)}
