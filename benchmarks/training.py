"""Training: what Ray, the feed, precision and each loss cost. `python benchmarks/training.py`.

    OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 python benchmarks/training.py --models 64

Ray's cost: a hand-written loop over tensors in memory (no augmentation, no checkpoints) and training under Ray Train
run at the same time, one thread each, so that both have the same machine; `of plain` compares CPU time a sample, where
the worker's counts all its threads, and `samples/s` is by the clock. With two workers the plain loop runs beside both.
A step's variants and parts take turns in one process; CPU time, median. The variants leave out the feed; a loss's part
is its own value and gradient.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ray.train import Result

from microdesign.cluster import connected
from microdesign.learning.feed import Feed, fit_standardization
from microdesign.learning.loop import build_model
from microdesign.learning.samples import Samples
from microdesign.learning.train import TrainConfig, build_trainer
from microdesign.microstructure.container import Microstructures
from microdesign.microstructure.dataset import Dataset, DatasetWriter
from microdesign.model.losses import build_losses
from microdesign.model.objective import Objective

PROPERTIES = ("Ex", "Ey", "kx")
MODELS: dict[str, dict[str, Any]] = {
    "64": {"network": {}},
    "224 spatial": {
        "network": {"size": 224, "latent_kind": "spatial", "latent": 4, "decoder": "upsampling"},
        "prior": {"kind": "standard"},
    },
    "32^3": {"network": {"size": 32, "dimensions": 3}},
    "51^3": {"network": {"size": 51, "dimensions": 3}},
}
BATCHES = {"64": 64, "224 spatial": 8, "32^3": 16, "51^3": 8}
LOSSES = ("bce", "mse", "msess", "cess", "cess_crop")


class Clock:
    """Takes the place of the queue of messages: notes wall and CPU time of worker 0 after each epoch in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def put(self, message: object) -> None:
        """Adds a line."""
        with self.path.open("a") as file:
            file.write(json.dumps([time.monotonic(), time.process_time()]) + "\n")


def config_of(name: str, folder: Path, epochs: int, workers: int) -> TrainConfig:
    """The training settings of a model on a made-up data set of eight batches for two workers."""
    properties = [] if MODELS[name].get("prior", {}).get("kind") == "standard" else PROPERTIES
    settings = {
        "dataset": str(data_set(name, folder).folder),
        "properties": properties or PROPERTIES,
        "loop": {"epochs": epochs, "batch_size": BATCHES[name], "model": MODELS[name]},
        "workers": workers,
        "storage": str(folder / "runs"),
    }
    return TrainConfig.model_validate(settings)


def data_set(name: str, folder: Path) -> Dataset:
    """Random images; what they show does not matter to the clock."""
    place = folder / name.replace(" ", "-")
    if not place.exists():
        network, stream = MODELS[name]["network"], np.random.default_rng(0)
        shape = (network.get("size", 64),) * network.get("dimensions", 2)
        n = 20 * BATCHES[name]
        labels = stream.integers(0, 2, (n, *shape)).astype(np.uint8)
        properties = {key: stream.uniform(1, 10, n) for key in PROPERTIES}
        writer = DatasetWriter(place, settings={})
        writer.write_shard("part", Microstructures(labels=labels, n_phases=2, properties=properties))
        writer.finish()
    return Dataset.open(place)


def batches(config: TrainConfig) -> Feed:
    """All the training samples' feed, in this process."""
    dataset = Dataset.open(config.dataset)
    samples = Samples.read(dataset, dataset.split()["train"])
    standardization = fit_standardization(samples.properties, samples.shape, config.properties, {})
    return Feed(samples, standardization, config.loop.batch_size, config.loop.seed)


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
            with torch.autocast("cpu", torch.bfloat16):
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


def ray_rows(name: str, folder: Path, epochs: int) -> Iterator[tuple[str, float, float]]:
    """Rows of Ray's cost: (what, samples/s, share of the plain loop's samples a CPU second)."""
    for workers in (1, 2):
        config = config_of(name, folder, epochs, workers)
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
    return build_trainer(config, fit_standardization(columns, shape, config.properties, {}), name, messages).fit()


def step_rows(name: str, folder: Path, repeats: int) -> Iterator[tuple[str, float, float]]:
    """Rows of a step: (what, samples a CPU second, share of the default step's time)."""
    config = config_of(name, folder, 1, 1)
    feed, objective = batches(config), Objective(config.loop.objective)
    stream = iter(lambda: next(feed.epoch(0)), None)
    x, c = next(stream)

    def variant(bf16: bool) -> Callable[[], None]:
        model = build_model(config.loop, len(config.properties))
        optimizer = torch.optim.AdamW(model.parameters())

        def step() -> None:
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                outputs = model(x, c)
            optimizer.zero_grad(set_to_none=True)
            objective(outputs, x, c)["total"].backward()
            optimizer.step()

        return step

    def loss_alone(loss: str) -> Callable[[], None]:
        (_, function), *_ = build_losses(loss).values()
        logits = torch.randn_like(x, requires_grad=True)
        return lambda: function(logits, x).mean().backward()

    work: dict[str, Callable[[], object]] = {"step: bf16": variant(True), "step: fp32": variant(False)}
    work |= {"part: feed": lambda: next(stream)}
    work |= {f"part: {loss}": loss_alone(loss) for loss in LOSSES}
    times: dict[str, list[float]] = {key: [] for key in work}
    for repeat in range(repeats + 1):
        for key, function in work.items():
            start = time.process_time()
            function()
            if repeat:  # the first call allocates and plans
                times[key].append(time.process_time() - start)
    default = float(np.median(next(iter(times.values()))))
    for key, values in times.items():
        yield key, len(x) / float(np.median(values)), float(np.median(values)) / default


def main() -> None:
    """Prints one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="*", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--ray", nargs="*", default=["64"], choices=list(MODELS), help="models to run under Ray Train")
    parser.add_argument("--epochs", type=int, default=6, help="epochs under Ray Train; the first one is not counted")
    parser.add_argument("--repeats", type=int, default=7, help="repeats of a step")
    settings = parser.parse_args()
    torch.set_num_threads(1)
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("microdesign", "torch", "ray"))
    cpu = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), ":")
    print(f"{cpu.split(':')[1].strip() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f};")
    print(f"Python {platform.python_version()}, {versions}; one thread a process; batch {BATCHES}\n")
    print(f"{'model':12} {'what':26} {'samples/s':>10} {'of plain / of step':>19}")
    with tempfile.TemporaryDirectory() as place:
        for name in settings.models:
            for what, rate, share in step_rows(name, Path(place), settings.repeats):
                print(f"{name:12} {what:26} {rate:10.1f} {share:18.3f}", flush=True)
        # Ray's workers are nice to others (15); both loops have to be alike.
        os.environ.setdefault("RAY_worker_niceness", "0")
        with connected():
            for name in settings.ray:
                for what, rate, share in ray_rows(name, Path(place), settings.epochs):
                    print(f"{name:12} {what:26} {rate:10.1f} {share:18.3f}", flush=True)


if __name__ == "__main__":
    main()
