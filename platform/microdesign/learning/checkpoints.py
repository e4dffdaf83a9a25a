"""Training states as Ray checkpoints, for Ray Train and Ray Tune alike."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import ray.train
import torch

from microdesign.learning.loop import State

_FILE = "state.pt"


@contextmanager
def state_checkpoint(save: Callable[[], State]) -> Iterator[ray.train.Checkpoint]:
    """Yields a checkpoint of the state that `save` returns; its files are gone after the block."""
    with tempfile.TemporaryDirectory() as folder:
        torch.save(save(), Path(folder) / _FILE)
        yield ray.train.Checkpoint.from_directory(folder)


def load_state(checkpoint: ray.train.Checkpoint | None) -> State | None:
    """Loads a training state, or None; tensors and plain values only, never code."""
    if checkpoint is None:
        return None
    with checkpoint.as_directory() as folder:
        return torch.load(Path(folder) / _FILE, map_location="cpu", weights_only=True)
