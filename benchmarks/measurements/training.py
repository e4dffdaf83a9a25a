"""What a training step, its parts and Ray cost, for `benchmarks/training.py`."""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ray.train import Result
from torch.utils.flop_counter import FlopCounterMode

from microdesign.learning.data.feed import Feed, fit_standardization
from microdesign.learning.data.samples import Samples
from microdesign.learning.training.config.train_config import TrainConfig
from microdesign.learning.training.loop import build_model
from microdesign.learning.training.workers.trainer import build_trainer
from microdesign.learning.training.workers.worker import run_worker
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.dataset import Dataset, DatasetWriter
from microdesign.model.losses.reconstruction import build_losses
from microdesign.model.networks.precision import mixed_precision
from microdesign.model.objective import Objective
from microdesign.physics.execution.cluster import connected

PROPERTIES = ("Ex", "Ey", "kx")
MODELS: dict[str, dict[str, Any]] = {
    "64": {"network": {}},
    "224 spatial": {
        "network": {"size": 224, "latent_kind": "spatial", "latent": 4, "decoder": "upsampling"},
        "prior": {"kind": "standard"},
    },
    "32^3": {"network": {"size": 32, "dimensions": 3}},
    "51^3": {"network": {"size": 51, "dimensions": 3}},
    "64^3": {"network": {"size": 64, "dimensions": 3}},
}
BATCHES = {"64": 64, "224 spatial": 8, "32^3": 16, "51^3": 8, "64^3": 8}
LOSSES = ("bce", "mse", "msess", "cess", "cess_crop", "lineal_path")


class Clock:
    """Takes the place of the queue of messages: notes wall and CPU time of worker 0 after each epoch in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def put(self, message: object) -> None:
        """Adds a line."""
        with self.path.open("a") as file:
            file.write(json.dumps([time.monotonic(), time.process_time()]) + "\n")


def config_of(name: str, folder: Path, epochs: int = 1, workers: int = 1, steps: int = 4) -> TrainConfig:
    """The training settings of a model on a made-up data set of `steps` batches for one worker."""
    # The second paper's model has no properties.
    properties = () if MODELS[name]["network"].get("latent_kind") == "spatial" else PROPERTIES
    settings = {
        "dataset": str(data_set(name, folder, steps).folder),
        "properties": properties,
        "loop": {"epochs": epochs, "batch_size": BATCHES[name], "model": MODELS[name]},
        "resources": {"workers": workers},
        "storage": str(folder / "runs"),
    }
    return TrainConfig.model_validate(settings)


def data_set(name: str, folder: Path, steps: int) -> Dataset:
    """Random images; what they show does not matter to the clock. Four of five are in the training split."""
    place = folder / f"{name.replace(' ', '-')}-{steps}"
    if not place.exists():
        network, stream = MODELS[name]["network"], np.random.default_rng(0)
        shape = (network.get("size", 64),) * network.get("dimensions", 2)
        n = -(-5 * steps * BATCHES[name] // 4)
        labels = stream.integers(0, 2, (n, *shape)).astype(np.uint8)
        properties = {key: stream.uniform(1, 10, n) for key in PROPERTIES}
        writer = DatasetWriter(place, settings={})
        writer.write_shard("part", Microstructures(labels=labels, n_phases=2, properties=properties))
        writer.finish()
    return Dataset.open(place)


def batches(config: TrainConfig, device: str = "cpu") -> Feed:
    """All the training samples' feed, in this process."""
    dataset = Dataset.open(config.dataset)
    samples = Samples.read(dataset, dataset.split()["train"])
    standardization = fit_standardization(samples.properties, samples.shape, config.properties, {})
    return Feed(samples, standardization, config.loop.batch_size, config.loop.seed, device=torch.device(device))


def plain_loop(config: TrainConfig, out: Path, stop: Path) -> None:
    """What a user would write without any of this: tensors in memory, a model, an optimiser; until `stop` exists."""
    torch.set_num_threads(1)
    model = build_model(config.loop, len(config.properties))
    data = list(batches(config).epoch(0))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    objective = Objective(config.loop.objective)
    clock = Clock(out)
    while not stop.exists():
        for x, c in data:
            with mixed_precision(x.device):
                outputs = model(x, c)
            loss = objective(outputs, x, c)["total"]
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        clock.put(None)


def rates(path: Path, samples: int, within: tuple[float, float] | None = None) -> tuple[float, float, tuple]:
    """Samples a second and a CPU second over the epochs after the first (or within a window), and their window."""
    times = np.array([json.loads(line) for line in path.read_text().splitlines()])
    if within is not None:
        inside = (times[:, 0] >= within[0]) & (times[:, 0] <= within[1])
        times = times[inside] if inside.sum() > 1 else times[1:]
    wall, cpu = (times[-1] - times[0]) / (len(times) - 1)
    return samples / wall, samples / cpu, (times[0, 0], times[-1, 0])


def ray_rows(name: str, folder: Path, epochs: int, steps: int) -> Iterator[tuple[str, float, float]]:
    """Rows of Ray's cost: (what, samples/s, share of the plain loop's samples a CPU second)."""
    for workers in (1, 2):
        config = config_of(name, folder, epochs, workers, steps)
        ours, plain, stop = (folder / f"{name}-{workers}-{each}" for each in ("ours", "plain", "stop"))
        process = get_context("spawn").Process(target=plain_loop, args=(config, plain, stop))
        process.start()
        try:
            fit(config, f"{name}-{workers}".replace(" ", "-").replace("^", "-"), Clock(ours))
        finally:
            stop.touch()
            process.join()
        feed = batches(config)
        wall, cpu, window = rates(ours, feed.samples.total // (workers * feed.batch_size) * feed.batch_size)
        plain_wall, plain_cpu, _ = rates(plain, feed.steps * feed.batch_size, window)
        if workers == 1:
            yield "plain loop", plain_wall, 1.0
        yield f"Ray Train, {workers} worker{'s' * (workers > 1)}", workers * wall, cpu / plain_cpu


def fit(config: TrainConfig, name: str, messages: Clock) -> Result:
    """Trains under Ray."""
    dataset = Dataset.open(config.dataset)
    columns, shape = dataset.property_columns(), dataset.manifest.shape
    standardization = fit_standardization(columns, shape, config.properties, {})
    settings = {
        "config": config.model_dump(mode="json") | {"dataset": str(dataset.folder.resolve())},
        "standardization": standardization.model_dump(mode="json"),
        "messages": messages,
    }
    return build_trainer(run_worker, settings, config.resources, Path(config.storage).resolve() / name).fit()


class Stopwatch:
    """CPU time of this process, or on a GPU the clock's once its work is done."""

    def __init__(self, device: str) -> None:
        self.cuda = device.startswith("cuda")

    def seconds(self, function: Callable[[], object]) -> float:
        """Time that a call takes."""
        start = self._now()
        function()
        return self._now() - start

    def _now(self) -> float:
        if not self.cuda:
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()


def step_rows(
    name: str, folder: Path, repeats: int, device: str, compiled: bool, peak: float | None
) -> Iterator[tuple[str, float, float]]:
    """Rows of a step: (what, samples a second, share of the default step's time); then operations and memory."""
    config, stopwatch = config_of(name, folder), Stopwatch(device)
    feed, objective = batches(config, device), Objective(config.loop.objective)
    stream = iter(lambda: next(feed.epoch(0)), None)
    x, c = next(stream)

    def variant(bf16: bool, compiled: bool = False) -> Callable[[], None]:
        model = build_model(config.loop, len(config.properties)).to(device)
        optimizer = torch.optim.AdamW(model.parameters())
        forward = torch.compile(model) if compiled else model

        def step() -> None:
            with torch.autocast(x.device.type, torch.bfloat16, enabled=bf16):
                outputs = forward(x, c)
            optimizer.zero_grad(set_to_none=True)
            objective(outputs, x, c)["total"].backward()
            optimizer.step()

        return step

    def loss_alone(loss: str) -> Callable[[], None]:
        (_, function), *_ = build_losses(loss).values()
        logits = torch.randn_like(x, requires_grad=True)
        return lambda: function(logits, x).mean().backward()

    work: dict[str, Callable[[], object]] = {"step: bf16": variant(True), "step: fp32": variant(False)}
    if compiled:
        work["step: bf16, compiled"] = variant(True, compiled=True)
    work |= {"part: feed": lambda: next(stream)}
    work |= {f"part: {loss}": loss_alone(loss) for loss in LOSSES}
    first = {}
    for key, function in work.items():  # allocates and plans, or compiles, partly in other processes
        started = time.perf_counter()
        function()
        first[key] = time.perf_counter() - started
    times: dict[str, list[float]] = {key: [] for key in work}
    for _ in range(repeats):
        for key, function in work.items():
            times[key].append(stopwatch.seconds(function))
    median = {key: float(np.median(values)) for key, values in times.items()}
    default = median["step: bf16"]
    for key, seconds in median.items():
        yield key, len(x) / seconds, seconds / default
    on_gpu = device.startswith("cuda")
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    with FlopCounterMode(display=False) as counter:
        work["step: bf16"]()
    rate = counter.get_total_flops() / default / 1e12
    share = "" if peak is None else f", {rate / peak:.1%} of the peak"
    memory = f", at most {torch.cuda.max_memory_allocated() / 2**30:.2f} GiB" if on_gpu else ""
    print(f"{name:12} step: bf16: {rate:.3g} TFLOP/s of matrix products and convolutions{share}{memory}")
    if compiled:
        compiling, gain = first["step: bf16, compiled"], default - median["step: bf16, compiled"]
        print(f"{name:12} compiling: {compiling:.0f} s, ", end="")
        print(f"recovered in {compiling / gain:.0f} steps" if gain > 0 else "never recovered")


def print_table(settings: argparse.Namespace) -> None:
    """Prints the rows of every model."""
    torch.set_num_threads(1)
    print(f"one thread a process; batch {BATCHES}\n")
    print(f"{'model':12} {'what':26} {'samples/s':>10} {'of plain / of step':>19}")
    with tempfile.TemporaryDirectory() as place:
        for name in settings.models:
            how = (settings.repeats, settings.device, settings.compile, settings.peak)
            for what, rate, share in step_rows(name, Path(place), *how):
                print(f"{name:12} {what:26} {rate:10.1f} {share:18.3f}", flush=True)
        # Ray's workers are nice to others (15); both loops have to be alike.
        os.environ.setdefault("RAY_worker_niceness", "0")
        with connected() if settings.ray else nullcontext():
            for name in settings.ray:
                for what, rate, share in ray_rows(name, Path(place), settings.epochs, settings.steps):
                    print(f"{name:12} {what:26} {rate:10.1f} {share:18.3f}", flush=True)
