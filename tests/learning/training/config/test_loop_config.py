"""The loop's config: stages inherit from the loop, and errors name what is wrong with them."""

import re
from pathlib import Path

import pytest

from microdesign.core.config import load_config
from microdesign.core.errors import InputError
from microdesign.learning.training.config.loop_config import LoopConfig
from microdesign.learning.training.optimization import OptimizerConfig
from microdesign.model.objective_config import ObjectiveConfig


def test_without_stages_there_is_one() -> None:
    config = LoopConfig(epochs=7, optimizer=OptimizerConfig(learning_rate=0.1), objective=ObjectiveConfig(loss="bce"))
    assert config.resolved_stages == [(0, 7, config.objective, 0.1)]
    assert config.total_epochs == 7


def test_stages_differ_in_what_they_name() -> None:
    config = LoopConfig.model_validate(
        {
            "epochs": 30,
            "objective": {"loss": "mse", "beta": 0.5, "weights": {"mse": 2.0}},
            "stages": [
                {},
                {"epochs": 10, "learning_rate": 1e-4, "objective": {"loss": "cess_crop", "weights": {"cess_crop": 3}}},
                {"epochs": 5, "objective": {"settings": {"cess_crop": {"size": 9}}}},
            ],
        }
    )
    first, second, third = config.resolved_stages
    assert [(stage.start, stage.epochs, stage.end) for stage in (first, second, third)] == [
        (0, 30, 30),
        (30, 10, 40),
        (40, 5, 45),
    ]
    assert config.total_epochs == 45
    assert first.objective == config.objective
    assert second.objective.loss == "cess_crop"
    assert second.objective.weights == {"mse": 2.0, "cess_crop": 3}
    assert second.objective.beta == third.objective.beta == 0.5
    assert (first.learning_rate, second.learning_rate) == (config.optimizer.learning_rate, 1e-4)
    assert (second.objective.settings.cess_crop.size, third.objective.settings.cess_crop.size) == (50, 9)
    again = LoopConfig.model_validate(config.model_dump(mode="json"))
    assert again.resolved_stages == config.resolved_stages


def test_sources_name_the_weights_of_every_stage(vgg_file: Path) -> None:
    style = {"loss": "style", "settings": {"style": {"weights": str(vgg_file), "layers": [1]}}}
    config = LoopConfig.model_validate({"stages": [{}, {"objective": style}]})
    assert config.sources()["style_weights"].startswith("vgg19.safetensors sha256:")
    assert LoopConfig().sources() == {}


def test_errors() -> None:
    for override, message in (
        ("stages=[{epochs: 0}]", "'stages.0.epochs' = 0 is not valid"),
        ("stages=[{}, {loss: mse}]", "unknown key 'stages.1.loss'"),
        ("stages=[{}, {objective: {lose: mse}}]", "stages.1.objective: unknown key 'lose'; did you mean 'loss'"),
        ("stages=[{objective: {loss: msee}}]", "stages.0.objective: 'loss' = 'msee' is not valid: Unknown loss"),
        ("optimizer.kind=lion", "'optimizer.kind' = 'lion' is not valid: Input should be 'adamw', 'radam'"),
        ("checkpoint_minutes=0", "'checkpoint_minutes' = 0 is not valid"),
    ):
        with pytest.raises(InputError, match=re.escape(message)):
            load_config(LoopConfig, overrides=[override])


def test_a_regressor_on_a_shared_trunk_is_not_fine_tuned() -> None:
    with pytest.raises(ValueError, match=r"trainable regressor is not supported with model.network.regressor shared"):
        LoopConfig.model_validate({"trainable": "regressor", "model": {"network": {"regressor": "shared"}}})
    LoopConfig.model_validate({"trainable": "regressor"})
