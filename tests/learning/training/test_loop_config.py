"""The loop's config: phases inherit from the loop, and say what is wrong with them."""

from pathlib import Path

import pytest

from microdesign.core.config import load_config
from microdesign.core.errors import InputError
from microdesign.learning.training.loop_config import LoopConfig
from microdesign.model.objective import ObjectiveConfig


def test_without_a_schedule_there_is_one_phase() -> None:
    config = LoopConfig(epochs=7, learning_rate=0.1, objective=ObjectiveConfig(loss="bce"))
    assert config.phases == [(0, 7, config.objective, 0.1)]
    assert config.total_epochs == 7


def test_phases_differ_in_what_they_name() -> None:
    config = LoopConfig.model_validate(
        {
            "epochs": 30,
            "objective": {"loss": "mse", "beta": 0.5, "weights": {"mse": 2.0}},
            "schedule": [
                {},
                {"epochs": 10, "learning_rate": 1e-4, "objective": {"loss": "cess_crop", "weights": {"cess_crop": 3}}},
                {"epochs": 5, "objective": {"settings": {"cess_crop": {"size": 9}}}},
            ],
        }
    )
    first, second, third = config.phases
    assert [(phase.start, phase.epochs, phase.end) for phase in (first, second, third)] == [
        (0, 30, 30),
        (30, 10, 40),
        (40, 5, 45),
    ]
    assert config.total_epochs == 45
    assert first.objective == config.objective
    assert second.objective.loss == "cess_crop"
    assert second.objective.weights == {"mse": 2.0, "cess_crop": 3}
    assert second.objective.beta == third.objective.beta == 0.5
    assert (first.learning_rate, second.learning_rate) == (config.learning_rate, 1e-4)
    assert (second.objective.settings.cess_crop.size, third.objective.settings.cess_crop.size) == (50, 9)
    again = LoopConfig.model_validate(config.model_dump(mode="json"))
    assert again.phases == config.phases


def test_sources_name_the_weights_of_every_phase(vgg_file: Path) -> None:
    style = {"loss": "style", "settings": {"style": {"weights": str(vgg_file), "layers": [1]}}}
    config = LoopConfig.model_validate({"schedule": [{}, {"objective": style}]})
    assert config.sources()["style_weights"].startswith("vgg19.safetensors sha256:")
    assert LoopConfig().sources() == {}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("schedule=[{epochs: 0}]", "'schedule.0.epochs' = 0 is not valid"),
        ("schedule=[{}, {loss: mse}]", "unknown key 'schedule.1.loss'"),
        (
            "schedule=[{}, {objective: {lose: mse}}]",
            "schedule.1.objective: unknown key 'lose'; expected one of: balance",
        ),
        ("schedule=[{objective: {loss: msee}}]", "schedule.0.objective: 'loss' = 'msee' is not valid: Unknown loss"),
        ("optimizer.kind=lion", "'optimizer.kind' = 'lion' is not valid: Input should be 'adamw', 'radam'"),
        ("checkpoint_minutes=0", "'checkpoint_minutes' = 0 is not valid"),
    ],
)
def test_errors(override: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_config(LoopConfig, overrides=[override])


def test_a_regressor_on_a_shared_trunk_does_not_learn_alone() -> None:
    with pytest.raises(ValueError, match=r"learns regressor is not supported with model.network.regressor shared"):
        LoopConfig.model_validate({"learns": "regressor"})
    LoopConfig.model_validate({"learns": "regressor", "model": {"network": {"regressor": "own"}}})
