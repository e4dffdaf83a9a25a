"""The settings of a sweep: what they are refused for, how long trials last, and that the shipped ones are good."""

from pathlib import Path

import pytest

from microdesign.core.config import load_config, validate_config
from microdesign.core.errors import InputError
from microdesign.learning.sweep.search_space import check_space
from microdesign.learning.sweep.sweep_config import SweepConfig

CONFIGS = Path(__file__).parents[3] / "jobs" / "configs"
SPACE = {"optimizer.learning_rate": [1e-3, 1e-2]}


def settings(**changes: object) -> SweepConfig:
    values = {"train": {"dataset": "x", "loop": {"epochs": 30}}, "space": SPACE} | changes
    return validate_config(SweepConfig, values, "the settings")


def test_bad_settings() -> None:
    cases: list[tuple[dict[str, object], str]] = [
        ({"metrics": ["mape", "mape"]}, "metrics names one twice: mape, mape"),
        ({"metrics": ["speed"]}, "metrics.0"),
        ({"metrics": []}, "metrics"),
        ({"train": {"dataset": "x", "properties": []}}, "the metric mape is not supported without properties"),
        ({"space": {"trainable": ["all", "regressor"]}}, "trainable is not searched"),
        ({"models": {"one": {"trainable": "regressor"}}}, "trainable is not searched"),
        ({"search": {"trials": 0}}, "'search.trials' = 0"),
        ({"space": {"optimizer.learning_rate": {"normal": [0, 1]}}}, "normal"),
        ({"dataset": "x"}, "unknown key 'dataset'"),
        ({"objectives": ["mape"]}, "'objectives' is now called 'metrics'"),
        ({"trial_epochs": 3}, "'trial_epochs' is now called 'search.epochs'"),
    ]
    for changes, message in cases:
        with pytest.raises(InputError, match=message):
            settings(**changes)


def test_a_trial_is_shorter_and_has_its_choice() -> None:
    config = settings(search={"epochs": 5})
    loop = config.trial_loop(config.train.loop, {"optimizer.learning_rate": 1e-2})
    assert (loop.total_epochs, loop.optimizer.learning_rate) == (5, 1e-2)
    assert settings().trial_loop(config.train.loop, {}).total_epochs == 30


def test_stages_shrink_in_proportion_and_none_vanishes() -> None:
    for epochs, of_trial, expected in (
        ((15, 15), 4, [2, 2]),
        ((20, 10), 6, [4, 2]),
        ((28, 2), 5, [5, 1]),
        ((10, 10, 10), None, [10, 10, 10]),
    ):
        models = {"fine": {"stages": [{"epochs": count} for count in epochs]}}
        config = settings(search={"epochs": of_trial}, models=models)
        loop = config.trial_loop(config.studies()["fine"], {})
        assert [stage.epochs for stage in loop.resolved_stages] == expected


def test_names_differ_by_what_is_searched_alone() -> None:
    name = settings().run_name("digest")
    assert settings(search={"trials": 99}, resources={"concurrent": 7}, retrain=False).run_name("digest") == name
    others = [settings(search={"seed": 1}), settings(search={"epochs": 2}), settings(space={"epochs": [1, 2]})]
    assert len({name, settings().run_name("other"), *(other.run_name("digest") for other in others)}) == 5


def test_the_shipped_ones_are_sweeps() -> None:
    paths = sorted(CONFIGS.glob("*sweep*.yaml"))
    assert len(paths) == 3
    for path in paths:
        config = load_config(SweepConfig, path)
        for loop in config.studies().values():
            check_space(config.space, loop, config.search.method == "grid")


def test_the_paper_s_protocol() -> None:
    config = load_config(SweepConfig, CONFIGS / "paper-cess-sweep.yaml")
    assert (config.search.trials, config.search.epochs, config.metrics) == (25, 5, ("loss",))
    studies = config.studies()
    assert len(studies) == 5
    for loop in studies.values():
        assert loop.total_epochs == 30
        assert config.trial_loop(loop, {}).total_epochs == 5
        assert loop.model.network.latent_shape[1:] == (14, 14)
    assert [stage.objective.loss for stage in studies["mse-cess_crop"].resolved_stages] == ["mse", "cess_crop"]
