"""Physics feedback: evaluated properties of decodes, the regressor's gradient, and the replay buffer."""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from microdesign.core.config import validate_config
from microdesign.core.errors import InputError
from microdesign.learning.data.feed import Feed
from microdesign.learning.data.samples import Samples
from microdesign.learning.training.config.feedback_config import PhysicsFeedbackConfig
from microdesign.learning.training.config.loop_config import LoopConfig
from microdesign.learning.training.loop import Save, State, build_model, run_loop
from microdesign.learning.training.physics_feedback import PhysicsFeedback
from microdesign.learning.training.replay import ReplayBuffer
from microdesign.microstructure.generators.registry import generate
from microdesign.model.losses.properties import regression
from microdesign.model.outputs import JointOutputs
from microdesign.model.prior.mixture import Gaussian
from microdesign.model.standardization import Standardization
from microdesign.model.vae import VAERegression
from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.evaluators.protocol import Values
from microdesign.physics.evaluators.resolver import FAST_TIER
from microdesign.physics.materials import Materials, materials_from

MATERIALS: dict[str, Any] = {"phases": [{"E": 1, "nu": 0.3, "k": 1}, {"E": 10, "nu": 0.3, "k": 10}]}
NAMES = ("Ex", "kx")
HERE = __name__


class AnswersNothing:
    fingerprint = "nothing"

    def evaluate(self, images: np.ndarray, materials: Materials) -> Values:
        return {name: np.full(len(images), np.nan) for name in NAMES}


class Times:
    """The built-in physics, multiplied."""

    fingerprint = "times"

    def __init__(self, factor: float = 1.1, names: Sequence[str] = NAMES) -> None:
        self.factor, self.names = factor, names

    def evaluate(self, images: np.ndarray, materials: Materials) -> Values:
        values = FFTEvaluator().evaluate(images, materials)
        return {name: self.factor * values[name] for name in self.names}


def by(labels: np.ndarray, **settings: Any) -> Values:
    return FFTEvaluator(**settings).evaluate(labels, materials_from(MATERIALS, "the tests"))


@pytest.fixture(scope="module")
def images() -> Any:
    batch = generate("GRF", 48, (32, 32))
    values = by(batch.labels)
    return type(batch)(labels=batch.labels, n_phases=2, properties={name: values[name] for name in NAMES})


@pytest.fixture(scope="module")
def standardization(images: Any) -> Standardization:
    return Standardization.fit(images.property_table(NAMES), NAMES, ("1", "1"))


def settings(**changes: Any) -> LoopConfig:
    network = {"size": 32, "widths": (8, 8, 16), "latent": 4, "hidden": 32}
    return LoopConfig.model_validate({"model": {"network": network}, "epochs": 4, "batch_size": 16} | changes)


def passed(seed: int = 3) -> tuple[VAERegression, JointOutputs]:
    model = build_model(settings(), len(NAMES))
    torch.manual_seed(seed)
    return model, model((torch.rand(16, 1, 32, 32) < 0.4).float(), torch.randn(16, len(NAMES)))


def feedback(standardization: Standardization, **changes: Any) -> PhysicsFeedback:
    return PhysicsFeedback(PhysicsFeedbackConfig.model_validate({"begin": 0.0} | changes), standardization, MATERIALS)


def test_the_value_is_physics_and_the_gradient_the_regressors(standardization: Standardization) -> None:
    model, outputs = passed()
    predicted = outputs.decodes.properties
    corrected = feedback(standardization).correct(outputs, 0.5).decodes.properties
    labels = outputs.decodes.images.detach()[:, 0].numpy().round().astype(np.uint8)
    true = by(labels, **FAST_TIER)
    expected = standardization.forward(np.stack([true[name] for name in NAMES], 1))
    np.testing.assert_allclose(corrected.detach().numpy(), expected, rtol=1e-4, atol=1e-4)
    assert (predicted - corrected).abs().max() > 0.05
    parameters = list(model.decoder.parameters())
    for a, b in zip(
        torch.autograd.grad(predicted.sum(), parameters, retain_graph=True),
        torch.autograd.grad(corrected.sum(), parameters),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


def test_it_begins_when_it_should_and_evaluates_so_many(standardization: Standardization) -> None:
    _, outputs = passed()
    late = feedback(standardization, begin=0.5)
    assert late.correct(outputs, 0.4) is outputs
    assert late.replay_batch(torch.device("cpu")) is None
    few = feedback(standardization, decodes=3, replay_batch=2)
    corrected = few.correct(outputs, 0.4).decodes.properties
    assert int((corrected != outputs.decodes.properties).any(1).sum()) == 3
    assert len(few.buffer.state()["labels"]) == 3


def test_a_replay_batch_is_turned_and_its_properties_with_it(standardization: Standardization) -> None:
    _, outputs = passed()
    stored = feedback(standardization, replay_batch=5)
    stored.correct(outputs, 0.5)
    decodes = {tuple(image.flatten().tolist()) for image in stored.buffer.state()["labels"]}
    turned = 0
    for seed in range(8):
        torch.manual_seed(seed)
        replay = stored.replay_batch(torch.device("cpu"))
        assert replay is not None
        assert replay.x.shape == (5, 1, 32, 32)
        labels = replay.x[:, 0].byte()
        turned += not {tuple(image.flatten().tolist()) for image in labels} <= decodes
        values = by(labels.numpy())
        expected = standardization.forward(np.stack([values[name] for name in NAMES], 1))
        np.testing.assert_allclose(replay.c.numpy(), expected, atol=0.03)
    assert turned >= 4


def test_a_turned_replay_of_a_solid_that_pores_cut_counts_in_no_loss() -> None:
    """The model knows Ex, which is Ey after a turn; an Ey of 0 has no logarithm, and was -inf in the regression."""
    known = Standardization(names=("Ex",), units=("1",), offsets=(0.0,), scales=(1.0,))
    buffer, labels = ReplayBuffer(8, known), torch.zeros(8, 4, 4, dtype=torch.uint8)
    buffer.add(labels, {"Ex": torch.full((8,), np.e), "Ey": torch.zeros(8)})
    torch.manual_seed(0)
    drawn = [buffer.draw(8, torch.device("cpu")) for _ in range(20)]
    values = torch.stack([batch.c for batch in drawn if batch is not None])
    assert values.isnan().any()
    assert (values.isnan() | torch.isclose(values, torch.ones(()))).all()
    predicted = Gaussian(torch.zeros(8, 1), torch.zeros(8, 1))
    assert all(torch.isfinite(regression(predicted, c)) for c in values)


def test_the_oldest_leave_the_buffer(standardization: Standardization) -> None:
    full = feedback(standardization, replay_buffer=10)
    for seed in range(3):
        full.correct(passed(seed)[1], 0.5)
    state = full.buffer.state()
    assert len(state["labels"]) == len(state["properties"]["Ex"]) == 10


def test_decodes_without_an_answer_keep_the_prediction(standardization: Standardization) -> None:
    _, outputs = passed()
    silent = feedback(standardization, evaluator=f"{HERE}:AnswersNothing")
    torch.testing.assert_close(silent.correct(outputs, 0.5).decodes.properties, outputs.decodes.properties)
    assert silent.replay_batch(torch.device("cpu")) is None
    assert [silent.share_answered(), silent.share_answered()] == [0.0, None]


def test_another_physics_than_that_of_the_labels_is_refused(images: Any, standardization: Standardization) -> None:
    feedback(standardization).check(images)
    feedback(standardization, evaluator=f"{HERE}:Times", evaluator_settings={"factor": 1.001}).check(images)
    for settings, message in (
        ({"evaluator": f"{HERE}:Times"}, "differs from the data set's labels by 10% in the median; expected"),
        ({"evaluator": f"{HERE}:AnswersNothing"}, "answers for none of 48 images of 32 x 32 pixels; the first: "),
        ({"evaluator": f"{HERE}:Times", "evaluator_settings": {"names": ["Ex"]}}, "gives no 'kx'; it gives Ex"),
    ):
        with pytest.raises(InputError, match=message):
            feedback(standardization, **settings).check(images)
    with pytest.raises(InputError, match="'verifier' is now called 'evaluator'"):
        validate_config(PhysicsFeedbackConfig, {"verifier": "fft"}, "the config")
    with pytest.raises(InputError, match="'lesson' is now called 'replay_batch'"):
        validate_config(PhysicsFeedbackConfig, {"lesson": 3}, "the config")


def trained(images: Any, standardization: Standardization, state: State | None = None) -> tuple[Any, list[State]]:
    config = settings()
    model = build_model(config, len(NAMES))
    feed = Feed(Samples.of(images), standardization, config.batch_size, config.seed)
    states: list[State] = []

    def on_epoch(done: int, terms: dict[str, float], save: Save) -> None:
        saved = save()
        states.append({k: dict(v) if isinstance(v, dict) else v for k, v in saved.items()})
        states[-1]["model"] = {name: tensor.clone() for name, tensor in saved["model"].items()}
        states[-1]["optimizer"] = copy.deepcopy(saved["optimizer"])

    run_loop(model, feed, config, on_epoch, state, feedback=feedback(standardization, begin=0.3, replay_buffer=20))
    return model, states


def test_a_resumed_run_has_its_replay_buffer(images: Any, standardization: Standardization) -> None:
    whole, states = trained(images, standardization)
    assert len(states[1]["own"]["labels"]) > 0
    resumed, _ = trained(images, standardization, states[1])
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], tensor, rtol=0, atol=0)
