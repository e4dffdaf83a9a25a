"""The training loop: it learns, it resumes bitwise, it stops on a loss that is not finite."""

import copy
import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from microdesign.errors import MicrodesignError
from microdesign.learning.feed import Feed
from microdesign.learning.loop import DivergedError, LoopConfig, State, _schedule, build_model, describe_terms, run_loop
from microdesign.learning.samples import Samples
from microdesign.microstructure.container import Microstructures
from microdesign.model.standardization import Standardization
from microdesign.model.vae import Outputs, VAERegression

NETWORK = {"size": 32, "widths": (8, 8, 16), "latent": 4, "hidden": 32}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def settings(**changes: object) -> LoopConfig:
    return LoopConfig.model_validate({"model": {"network": NETWORK}, "epochs": 3, "batch_size": 8} | changes)


def feed(config: LoopConfig, rank: int = 0, world: int = 1) -> Feed:
    """Laminates of stiffness 1 and 10 and random volume fraction, every second one turned."""
    phi = np.random.default_rng(0).uniform(0.2, 0.8, 32)
    labels = np.zeros((32, 32, 32), np.uint8)
    labels[np.arange(32) < 32 * phi[:, None]] = 1
    labels[::2] = labels[::2].transpose(0, 2, 1)
    stiff, soft = 1 + 9 * phi, 1 / (1 - 0.9 * phi)
    along_x = np.arange(32) % 2 == 0
    properties = {"Ex": np.where(along_x, stiff, soft), "Ey": np.where(along_x, soft, stiff)}
    batch = Microstructures(labels=labels, n_phases=2, properties=properties)
    standardization = Standardization.fit(np.stack(list(properties.values()), 1), ("Ex", "Ey"), ("1", "1"))
    return Feed(Samples.of(batch, rank, world), standardization, config.batch_size, config.seed, rank, world)


def run(config: LoopConfig, state: State | None = None) -> tuple[VAERegression, list[dict[str, float]], list[State]]:
    """Trains a new model; returns it with the terms and the saved state of each epoch."""
    model = build_model(config, 2)
    history: list[dict[str, float]] = []
    states: list[State] = []

    def on_epoch(done: int, terms: dict[str, float], save: Callable[[], State]) -> None:
        history.append(terms | {"epoch": done})
        states.append(copy.deepcopy(save()))

    run_loop(model, feed(config), config, on_epoch, state)
    return model, history, states


def test_training_lowers_the_loss() -> None:
    _, history, states = run(settings(epochs=16))
    assert [terms["epoch"] for terms in history] == list(range(1, 17))
    for name in ("total", "cess", "regression"):
        assert history[-1][name] < 0.9 * history[0][name], name
    assert set(history[0]) >= {"mse", "cess", "kl", "regression", "imbalance", "learning_rate", "samples_per_second"}
    assert [state["epoch"] for state in states] == list(range(1, 17))


@pytest.mark.parametrize("stopped_after", [1, 2])
def test_resume_is_bitwise_as_if_never_stopped(stopped_after: int) -> None:
    config = settings()
    whole, history, states = run(config)
    torch.rand(7)
    resumed, rest, _ = run(config, states[stopped_after - 1])
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name
    for before, after in zip(history[stopped_after:], rest, strict=True):
        assert before["total"] == after["total"]


def test_same_seed_same_model_and_other_seed_another() -> None:
    models = [run(settings(epochs=1, seed=seed))[0] for seed in (4, 4, 5)]
    first, again, other = (torch.cat([p.flatten() for p in model.parameters()]) for model in models)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_finished_state_trains_no_further() -> None:
    config = settings(epochs=2)
    whole, _, states = run(config)
    model, history, _ = run(config, states[-1])
    assert not history
    assert torch.equal(model.decoder.last.weight, whole.decoder.last.weight)


class Spy(VAERegression):
    """Keeps the noise of every latent draw."""

    def forward(self, x: torch.Tensor, c: torch.Tensor) -> Outputs:
        outputs = super().forward(x, c)
        noise = (outputs.z - outputs.posterior.mean) / outputs.posterior.log_std.exp()
        self.__dict__.setdefault("noise", []).append(noise.detach())
        return outputs


def noise_of(rank: int, state: State | None) -> torch.Tensor:
    config = settings(epochs=2)
    model = Spy(config.model, 2)
    run_loop(model, feed(config, rank, world=2), config, lambda *_: None, state)
    return torch.stack(model.__dict__["noise"][-2:])


def test_workers_draw_their_own_noise_also_after_a_resume() -> None:
    _, _, states = run(settings(epochs=2))
    resumed = [noise_of(rank, states[0]) for rank in (0, 1)]
    assert (resumed[0] - resumed[1]).abs().max() > 0.1
    for rank in (0, 1):
        torch.testing.assert_close(noise_of(rank, None), resumed[rank], rtol=1e-3, atol=1e-3)


def test_a_loss_that_is_not_finite_stops_the_run() -> None:
    config = settings()
    bad = feed(config)
    for table in bad.tables:
        table[:] = math.inf
    with pytest.raises(
        DivergedError, match=r"The loss is (nan|inf) in epoch 0, step 0; lower the learning rate"
    ) as caught:
        run_loop(build_model(config, 2), bad, config, lambda *_: None)
    assert isinstance(caught.value, MicrodesignError)


def test_a_wall_time_limit_ends_the_run() -> None:
    _, history, states = run(settings(epochs=50, max_minutes=1e-4))
    assert len(history) == 1
    assert states[0]["seconds"] >= 60 * 1e-4


def test_all_workers_go_by_the_clock_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    def broadcast(seconds: torch.Tensor, src: int) -> None:
        assert src == 0
        seconds.fill_(next(clock))

    # Per epoch: four steps and the check at its end; the first worker's hour ends with the second epoch.
    clock = iter([0, 0, 0, 1800, 1800, 1800, 1800, 1800, 2700, 3600])
    monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
    monkeypatch.setattr("torch.distributed.broadcast", broadcast)
    config = settings(epochs=50, max_minutes=60, learning_rate=1e-3, warmup=0.0)
    _, history, _ = run(config)
    expected = [1e-3 * _schedule(progress, 0) for progress in (0.5, 0.75)]
    assert [terms["learning_rate"] for terms in history] == pytest.approx(expected)


@pytest.mark.parametrize("warmup", [0.0, 0.05, 0.5])
def test_schedule(warmup: float) -> None:
    assert _schedule(warmup, warmup) == pytest.approx(1)
    assert _schedule(1, warmup) == pytest.approx(0)
    assert _schedule(2, warmup) == pytest.approx(0)
    assert _schedule(warmup + (1 - warmup) / 2, warmup) == pytest.approx(0.5)
    rates = [_schedule(progress, warmup) for progress in np.linspace(0, 1, 101)]
    assert all(0 <= rate <= 1 for rate in rates)
    assert rates[0] > 0
    peak = int(np.argmax(rates))
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)


def test_learning_rate_reported() -> None:
    config = settings(epochs=2, warmup=0.0, learning_rate=1e-3)
    _, history, _ = run(config)
    # Four steps an epoch; the last one of epoch e begins at (e + 3/4) / 2 of the run.
    expected = [1e-3 * 0.5 * (1 + math.cos(math.pi * progress)) for progress in (0.375, 0.875)]
    assert [terms["learning_rate"] for terms in history] == pytest.approx(expected)


def test_one_line_for_people() -> None:
    line = describe_terms({"mse": 0.12345, "total": 1.0, "learning_rate": 1e-3, "samples_per_second": 9.0})
    assert line == "loss 1.0000, mse 0.123"
