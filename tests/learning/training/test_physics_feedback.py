"""Physics in the loop: it tells the truth about decodes, keeps the regressor's gradient, and remembers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from microdesign.core.config import validate_config
from microdesign.core.errors import InputError
from microdesign.learning.data.feed import Feed
from microdesign.learning.data.samples import Samples
from microdesign.learning.training.loop import Save, State, build_model, run_loop
from microdesign.learning.training.loop_config import LoopConfig
from microdesign.learning.training.physics_feedback import Teacher, TeacherConfig
from microdesign.microstructure.generators.registry import generate
from microdesign.model.outputs import JointOutputs
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


def teacher(standardization: Standardization, **changes: Any) -> Teacher:
    return Teacher(TeacherConfig.model_validate({"start": 0.0} | changes), standardization, MATERIALS)


def test_the_value_is_physics_and_the_gradient_the_regressors(standardization: Standardization) -> None:
    model, outputs = passed()
    said = outputs.decodes.properties
    corrected = teacher(standardization).correct(outputs, 0.5).decodes.properties
    labels = outputs.decodes.images.detach()[:, 0].numpy().round().astype(np.uint8)
    truth = by(labels, **FAST_TIER)
    expected = standardization.forward(np.stack([truth[name] for name in NAMES], 1))
    np.testing.assert_allclose(corrected.detach().numpy(), expected, rtol=1e-4, atol=1e-4)
    assert (said - corrected).abs().max() > 0.05
    parameters = list(model.decoder.parameters())
    for a, b in zip(
        torch.autograd.grad(said.sum(), parameters, retain_graph=True),
        torch.autograd.grad(corrected.sum(), parameters),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


def test_it_waits_for_its_time_and_asks_for_so_many(standardization: Standardization) -> None:
    _, outputs = passed()
    late = teacher(standardization, start=0.5)
    assert late.correct(outputs, 0.4) is outputs
    assert late.lesson(torch.device("cpu")) is None
    few = teacher(standardization, decodes=3, lesson=2)
    corrected = few.correct(outputs, 0.4).decodes.properties
    assert int((corrected != outputs.decodes.properties).any(1).sum()) == 3
    assert len(few.state()["labels"]) == 3


def test_lessons_are_judged_decodes_with_their_true_properties(standardization: Standardization) -> None:
    _, outputs = passed()
    judge = teacher(standardization, lesson=5)
    judge.correct(outputs, 0.5)
    lesson = judge.lesson(torch.device("cpu"))
    assert lesson is not None
    assert lesson.x.shape == (5, 1, 32, 32)
    values = by(lesson.x[:, 0].numpy().astype(np.uint8), **FAST_TIER)
    expected = standardization.forward(np.stack([values[name] for name in NAMES], 1))
    np.testing.assert_allclose(lesson.c.numpy(), expected, rtol=1e-4, atol=1e-4)


def test_lessons_are_turned_and_their_properties_with_them(standardization: Standardization) -> None:
    _, outputs = passed()
    judge = teacher(standardization, lesson=5)
    judge.correct(outputs, 0.5)
    decodes = {tuple(image.flatten().tolist()) for image in judge.state()["labels"]}
    turned = 0
    for seed in range(8):
        torch.manual_seed(seed)
        lesson = judge.lesson(torch.device("cpu"))
        assert lesson is not None
        labels = lesson.x[:, 0].byte()
        turned += not {tuple(image.flatten().tolist()) for image in labels} <= decodes
        values = by(labels.numpy())
        expected = standardization.forward(np.stack([values[name] for name in NAMES], 1))
        np.testing.assert_allclose(lesson.c.numpy(), expected, atol=0.03)
    assert turned >= 4


def test_it_forgets_the_oldest(standardization: Standardization) -> None:
    judge = teacher(standardization, memory=10)
    for seed in range(3):
        judge.correct(passed(seed)[1], 0.5)
    state = judge.state()
    assert len(state["labels"]) == len(state["properties"]["Ex"]) == 10


def test_decodes_that_physics_cannot_answer_for_keep_the_regressors_word(standardization: Standardization) -> None:
    _, outputs = passed()
    silent = teacher(standardization, evaluator=f"{HERE}:AnswersNothing")
    torch.testing.assert_close(silent.correct(outputs, 0.5).decodes.properties, outputs.decodes.properties)
    assert silent.lesson(torch.device("cpu")) is None


def test_another_physics_than_that_of_the_labels_is_refused(images: Any, standardization: Standardization) -> None:
    teacher(standardization).check(images)
    teacher(standardization, evaluator=f"{HERE}:Times", evaluator_settings={"factor": 1.001}).check(images)
    for settings, message in (
        ({"evaluator": f"{HERE}:Times"}, r"says otherwise than the data set's labels, by 10% in the median; name"),
        ({"evaluator": f"{HERE}:AnswersNothing"}, "answers for none of 48 images of 32 x 32 pixels; the first: "),
        ({"evaluator": f"{HERE}:Times", "evaluator_settings": {"names": ["Ex"]}}, "gives no 'kx'; it gives Ex"),
    ):
        with pytest.raises(InputError, match=message):
            teacher(standardization, **settings).check(images)
    with pytest.raises(InputError, match="'verifier' is now called 'evaluator'"):
        validate_config(TeacherConfig, {"verifier": "fft"}, "the config")


def trained(images: Any, standardization: Standardization, state: State | None = None) -> tuple[Any, list[State]]:
    config = settings()
    model = build_model(config, len(NAMES))
    feed = Feed(Samples.of(images), standardization, config.batch_size, config.seed)
    states: list[State] = []

    def on_epoch(done: int, terms: dict[str, float], save: Save) -> None:
        saved = save()
        states.append({k: dict(v) if isinstance(v, dict) else v for k, v in saved.items()})
        states[-1]["model"] = {name: tensor.clone() for name, tensor in saved["model"].items()}
        states[-1]["optimizer"] = torch.load(_roundtrip(saved["optimizer"]), weights_only=True)

    run_loop(model, feed, config, on_epoch, state, teacher=teacher(standardization, start=0.3, memory=20))
    return model, states


def _roundtrip(value: Any) -> Any:
    import io

    buffer = io.BytesIO()
    torch.save(value, buffer)
    buffer.seek(0)
    return buffer


def test_a_resumed_run_remembers_its_lessons(images: Any, standardization: Standardization) -> None:
    whole, states = trained(images, standardization)
    assert len(states[1]["own"]["labels"]) > 0
    resumed, _ = trained(images, standardization, states[1])
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], tensor, rtol=0, atol=0)
