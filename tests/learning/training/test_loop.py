"""The training loop: it learns, it resumes bitwise, it stops on a loss that is not finite."""

import copy
import json
import math
import pickle
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch

from microdesign.core.errors import MicrodesignError
from microdesign.core.files import digest
from microdesign.learning.data.augmentation import ALL
from microdesign.learning.data.feed import Feed
from microdesign.learning.data.samples import Samples
from microdesign.learning.training.config.loop_config import LoopConfig
from microdesign.learning.training.loop import WARMUP_STEPS, DivergedError, Save, State, build_model, run_loop
from microdesign.microstructure.data.container import Microstructures
from microdesign.model.networks.precision import has_bf16
from microdesign.model.outputs import JointOutputs
from microdesign.model.standardization import Standardization
from microdesign.model.vae import VAERegression
from tests.cases import case

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

    def on_epoch(done: int, terms: dict[str, float], save: Save) -> None:
        history.append(terms | {"epoch": done})
        states.append(copy.deepcopy(save()))

    run_loop(model, feed(config), config, on_epoch, state)
    return model, history, states


def test_training_lowers_the_loss() -> None:
    _, history, states = run(settings(epochs=16))
    assert [terms["epoch"] for terms in history] == list(range(1, 17))
    for name in ("loss", "cess", "regression"):
        assert history[-1][name] < 0.9 * history[0][name], name
    assert set(history[0]) >= {"mse", "cess", "kl", "regression", "imbalance", "learning_rate", "samples_per_second"}
    assert [state["epoch"] for state in states] == list(range(1, 17))


def test_rectangles_are_learned_from_and_turned_by_halves_alone() -> None:
    labels = (np.random.default_rng(0).random((16, 48, 32)) < np.linspace(0.2, 0.8, 16)[:, None, None]).astype(np.uint8)
    properties = {"Ex": 1 + labels.mean((1, 2)), "Ey": 2 + labels.mean((1, 2))}
    batch = Microstructures(labels=labels, n_phases=2, properties=properties)
    config = settings(model={"network": NETWORK | {"size": [48, 32]}}, epochs=1)
    standardization = Standardization.fit(np.stack(list(properties.values()), 1), ("Ex", "Ey"), ("1", "1"))
    rectangles = Feed(Samples.of(batch), standardization, config.batch_size, config.seed)
    model = build_model(config, 2)
    run_loop(model, rectangles, config, lambda done, terms, save: None)
    assert model.decoder(torch.zeros(2, 4)).shape == (2, 1, 48, 32)
    assert {each.axes for each in ALL.symmetries((48, 32), ("Ex", "Ey"), ("Ex", "Ey"))} == {(0, 1)}


def test_resume_is_bitwise_as_if_never_stopped() -> None:
    for stopped_after in [1, 2]:
        with case(stopped_after=stopped_after):
            config = settings()
            whole, history, states = run(config)
            torch.rand(7)
            resumed, rest, _ = run(config, states[stopped_after - 1])
            for name, tensor in whole.state_dict().items():
                assert torch.equal(tensor, resumed.state_dict()[name]), name
            for before, after in zip(history[stopped_after:], rest, strict=True):
                assert before["loss"] == after["loss"]


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
    assert torch.equal(model.decoder.shaping.last.weight, whole.decoder.shaping.last.weight)


class Spy(VAERegression):
    """Keeps the noise of every latent draw."""

    def forward(self, x: torch.Tensor, c: torch.Tensor) -> JointOutputs:
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


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_batch(tmp_path: Path) -> None:
    config = settings()
    bad = feed(config)
    poisoned = int(np.flatnonzero(bad.samples.positions == bad.positions(1, 2)[3])[0])

    def on_epoch(done: int, terms: dict[str, float], save: Save) -> None:
        for table in bad.tables:
            table[poisoned] = math.inf

    with pytest.raises(
        DivergedError, match=r"is (nan|inf) in epoch 1, step 2, batch [0-9a-f]{12}; lower the"
    ) as caught:
        run_loop(build_model(config, 2), bad, config, on_epoch, folder=tmp_path)
    assert isinstance(caught.value, MicrodesignError)
    record = json.loads((tmp_path / "diverged-worker-0.json").read_text())
    assert record == caught.value.record == pickle.loads(pickle.dumps(caught.value)).record
    assert record["images"] == bad.positions(1, 2).tolist()
    x, c = list(bad.epoch(1))[2]
    assert record["batch"] == digest(x.contiguous().numpy().tobytes(), c.numpy().tobytes())


def checkpoints(config: LoopConfig, state: State | None = None) -> tuple[VAERegression, list[float], list[State]]:
    """A run that saves after every step within an epoch: the model, each epoch's loss, the states."""
    model, losses, states = build_model(config, 2), [], []
    run_loop(
        model,
        feed(config),
        config,
        lambda done, terms, save: losses.append(terms["loss"]),
        state,
        lambda save: states.append(copy.deepcopy(save())),
    )
    return model, losses, states


def test_resume_within_an_epoch_is_bitwise_as_if_never_stopped(tmp_path: Path) -> None:
    for kind in ["adamw", "radam", "adam", "sgd"]:
        with case(kind=kind):
            config = settings(epochs=2, checkpoint_minutes=1e-9, optimizer={"kind": kind, "learning_rate": 1e-3})
            whole, losses, states = checkpoints(config)
            assert [(state["epoch"], state["step"]) for state in states] == [
                (0, 1),
                (0, 2),
                (0, 3),
                (1, 1),
                (1, 2),
                (1, 3),
            ]
            for state, rest in ((states[1], 2), (states[-1], 1)):
                torch.rand(7)
                torch.save(state, tmp_path / "state.pt")
                resumed, again, _ = checkpoints(config, torch.load(tmp_path / "state.pt", weights_only=True))
                assert again == losses[-rest:]
                for name, tensor in whole.state_dict().items():
                    assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_a_checkpoint_within_an_epoch_serves_another_number_of_workers() -> None:
    config = settings(epochs=1, checkpoint_minutes=1e-9)
    _, _, states = checkpoints(config)
    shared, done = feed(config, rank=0, world=2), []
    assert shared.steps == 2
    taken = Spy(config.model, 2)
    run_loop(taken, shared, config, lambda *args: done.append(args[0]), states[1])
    assert done == [1]
    # Two of four steps of one worker are one of two of each of two workers.
    assert len(taken.__dict__["noise"]) == 1


def test_checkpoints_keep_their_distance() -> None:
    _, _, states = checkpoints(settings(epochs=1, checkpoint_minutes=60))
    assert not states


STAGES = [
    {"objective": {"loss": "mse"}},
    {"epochs": 1, "learning_rate": 1e-4, "objective": {"loss": "cess_crop", "settings": {"cess_crop": {"size": 9}}}},
]


def test_stages_follow_each_other_and_resume_in_the_right_one() -> None:
    config = settings(epochs=2, stages=STAGES)
    assert config.total_epochs == 3
    whole, history, states = run(config)
    assert [terms["epoch"] for terms in history] == [1, 2, 3]
    assert ["mse" in terms for terms in history] == [True, True, False]
    assert ["cess_crop" in terms for terms in history] == [False, False, True]
    assert history[-1]["learning_rate"] < 1e-4 < history[0]["learning_rate"]
    for stopped_after in (1, 2, 3):
        resumed, rest, _ = run(config, states[stopped_after - 1])
        assert [terms["loss"] for terms in rest] == [terms["loss"] for terms in history[stopped_after:]]
        for name, tensor in whole.state_dict().items():
            assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_a_stage_starts_a_new_optimizer() -> None:
    _, _, states = run(settings(epochs=1, stages=STAGES))
    steps = [next(iter(state["optimizer"]["state"].values()))["step"].item() for state in states]
    assert steps == [4, 4]


def seen_by_clock(config: LoopConfig, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, set[str], int]]:
    """Epochs done, terms of the loss and steps of the stage's optimizer after each epoch, where a step takes 150 s."""
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    seen: list[tuple[int, set[str], int]] = []

    def on_epoch(done: int, terms: dict[str, float], save: Save) -> None:
        steps = next(iter(save()["optimizer"]["state"].values()))["step"]
        seen.append((done, set(terms), int(steps)))

    ours = feed(config)

    def epoch(number: int, first: int = 0, of: object = ours.epoch) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for batch in of(number, first):
            yield batch
            clock[0] += 150

    ours.epoch = epoch
    run_loop(build_model(config, 2), ours, config, on_epoch)
    return seen


def test_a_time_limit_is_shared_by_the_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 60 minutes and 20 + 10 epochs, 40 belong to the first stage; here an epoch of either takes 10."""
    config = settings(epochs=20, max_minutes=60, stages=[{"objective": {"loss": "mse"}}, {"epochs": 10}])
    seen = [(done, "cess" in terms) for done, terms, _ in seen_by_clock(config, monkeypatch)]
    assert seen == [(1, False), (2, False), (3, False), (4, False), (21, True), (22, True)]


def test_a_time_limit_cuts_an_epoch_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an epoch's four steps of 2.5 minutes two are left when the quarter of an hour is over."""
    seen = [(done, steps) for done, _, steps in seen_by_clock(settings(epochs=20, max_minutes=15), monkeypatch)]
    assert seen == [(1, 4), (2, 6)]


def test_volumes_of_three_phases_with_unknown_labels_train_on_every_kind_of_loss() -> None:
    network = {"size": 16, "dimensions": 3, "phases": 3, "widths": (4, 8), "latent": 4, "hidden": 16}
    config = settings(
        model={"network": network}, epochs=1, batch_size=4, objective={"loss": "bce+mse+msess+cess+cess_crop+clamp"}
    )
    stream = np.random.default_rng(0)
    properties = {"E": np.where(np.arange(8) % 2, stream.uniform(1, 2, 8), np.nan)}
    data = Microstructures(
        labels=stream.integers(0, 3, (8, 16, 16, 16)).astype(np.uint8), n_phases=3, properties=properties
    )
    standardization = Standardization.fit(np.array([[1.0], [2.0]]), ("E",), ("1",))
    history: list[dict[str, float]] = []
    model = build_model(config, 1)
    ours = Feed(Samples.of(data), standardization, config.batch_size, config.seed)
    run_loop(model, ours, config, lambda done, terms, save: history.append(terms))
    assert all(math.isfinite(value) for value in history[0].values())
    assert {"clamp", "cess_crop", "regression"} <= set(history[0])


def test_a_spatial_model_without_properties_trains() -> None:
    network = NETWORK | {"latent_kind": "spatial", "decoder": "upsampling", "latent": 2}
    config = settings(model={"network": network, "prior": {"kind": "standard"}}, objective={"loss": "mse"}, epochs=2)
    stream = np.random.default_rng(0)
    data = Microstructures(labels=stream.integers(0, 2, (16, 32, 32)).astype(np.uint8), n_phases=2)
    none = Standardization(names=(), units=(), offsets=(), scales=())
    history: list[dict[str, float]] = []
    ours = Feed(Samples.of(data), none, config.batch_size, config.seed)
    run_loop(build_model(config, 0), ours, config, lambda done, terms, save: history.append(terms))
    of_loop = {"learning_rate", "samples_per_second", "progress"}
    assert set(history[0]) == {"mse", "kl", "imbalance", "loss"} | of_loop
    assert history[1]["loss"] < history[0]["loss"]


def test_without_bf16_the_model_computes_in_float32() -> None:
    kept: list[torch.dtype] = []
    for bf16 in (True, False):
        config = settings(epochs=1, bf16=bf16)
        model = build_model(config, 2)
        model.trunk.stem.register_forward_hook(lambda module, inputs, output: kept.append(output.dtype))
        run_loop(model, feed(config), config, lambda *_: None)
    assert set(kept[: len(kept) // 2]) == {torch.bfloat16 if has_bf16(torch.device("cpu")) else torch.float32}
    assert set(kept[len(kept) // 2 :]) == {torch.float32}


def test_a_wall_time_limit_ends_the_run() -> None:
    _, history, states = run(settings(epochs=50, max_minutes=1e-4))
    assert len(history) == 1
    assert states[0]["seconds"] >= 60 * 1e-4


def test_all_workers_go_by_the_clock_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    def broadcast(seconds: torch.Tensor, src: int) -> None:
        assert src == 0
        seconds.fill_(next(clock))

    # Per epoch: four steps, its progress and the check at its end; the first worker's hour ends with the second epoch.
    clock = iter([0, 0, 0, 1800, 1800, 1800, 1800, 1800, 1800, 2700, 3600, 3600])
    monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
    monkeypatch.setattr("torch.distributed.get_world_size", lambda: 1)
    monkeypatch.setattr("torch.distributed.broadcast", broadcast)
    config = settings(epochs=50, max_minutes=60, optimizer={"learning_rate": 1e-3, "schedule": {"warmup": 0}})
    _, history, _ = run(config)
    expected = [1e-3 * config.optimizer.schedule.factor(progress, 0) for progress in (0.5, 0.75)]
    assert [terms["learning_rate"] for terms in history] == pytest.approx(expected)


def first_rates(config: LoopConfig, pretrained: frozenset[str] = frozenset()) -> list[float]:
    """The learning rates that the first two epochs of four steps end with."""
    model, rates = build_model(config, 2), list[float]()
    model.pretrained = pretrained

    def note(done: int, terms: dict[str, float], save: Save) -> None:
        rates.append(terms["learning_rate"])
        if done == 2:
            raise KeyboardInterrupt

    with suppress(KeyboardInterrupt):
        run_loop(model, feed(config), config, note)
    return rates


def test_seeded_weights_start_slowly_and_pretrained_ones_need_not() -> None:
    """Also where the clock says that the share for the rise is over."""
    for epochs, rise in ((100, WARMUP_STEPS), (20, 0.2 * 20 * 4)):
        config = settings(epochs=epochs, optimizer={"learning_rate": 1e-3})
        share = [((n - 1) / (4 * epochs) + 1e-3) / (config.optimizer.schedule.warmup + 1e-3) for n in (4, 8)]
        slow = [1e-3 * min(n / rise, each) for n, each in zip((4, 8), share, strict=True)]
        assert first_rates(config) == pytest.approx(slow)
        assert first_rates(config, frozenset({"trunk"})) == pytest.approx([1e-3 * min(1, each) for each in share], 0.02)
    (ended_early,) = first_rates(settings(epochs=100, max_minutes=1e-4, optimizer={"learning_rate": 1e-3}))
    assert ended_early <= 1e-3 * 4 / WARMUP_STEPS


def test_pretrained_parts_take_smaller_steps() -> None:
    """By a single step of Adam, which is as long as the learning rate whatever the gradient is."""
    optimizer = {"kind": "adam", "pretrained": 0.25, "weight_decay": 0, "gradient_clip": None}
    config = settings(epochs=1, batch_size=32, optimizer=optimizer | {"learning_rate": 1e-3, "schedule": {"warmup": 0}})
    steps = []
    for pretrained in (frozenset[str](), frozenset({"trunk"})):
        model = build_model(config, 2)
        model.pretrained = pretrained
        before = copy.deepcopy(model.state_dict())
        run_loop(model, feed(config), config, lambda *_: None)
        steps.append({name: weight - before[name] for name, weight in model.state_dict().items()})
    for name, step in steps[0].items():
        factor = 0.25 if name.startswith("trunk.") else 1.0
        torch.testing.assert_close(steps[1][name], factor * step, rtol=1e-3, atol=2e-7, msg=name)


def test_learning_rate_reported() -> None:
    config = settings(epochs=2, optimizer={"learning_rate": 1e-3, "schedule": {"warmup": 0}})
    _, history, _ = run(config)
    # Four steps an epoch; the last one of epoch e begins at (e + 3/4) / 2 of the run.
    expected = [1e-3 * 0.5 * (1 + math.cos(math.pi * progress)) for progress in (0.375, 0.875)]
    assert [terms["learning_rate"] for terms in history] == pytest.approx(expected)
