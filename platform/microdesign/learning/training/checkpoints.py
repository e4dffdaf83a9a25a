"""Training states as Ray checkpoints, for Ray Train and Ray Tune alike."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import ray.train
import torch

from microdesign.learning.training.loop import State

_FILE = "state.pt"
_WRAPPED = "module."  # what DistributedDataParallel puts before every name


@contextmanager
def state_checkpoint(save: Callable[[], State]) -> Iterator[ray.train.Checkpoint]:
    """Yields a checkpoint of the state that `save` returns; its files are gone after the block."""
    with tempfile.TemporaryDirectory() as folder:
        torch.save(save(), Path(folder) / _FILE)
        yield ray.train.Checkpoint.from_directory(folder)


def load_state(checkpoint: ray.train.Checkpoint | None, wrapped: bool = False) -> State | None:
    """Loads a training state, or None; tensors and plain values only, never code.

    Args:
        checkpoint: Where it is.
        wrapped: Whether it is for a model wrapped for several workers, whose names have a prefix; any number of workers
            may have saved it.
    """
    if checkpoint is None:
        return None
    with checkpoint.as_directory() as folder:
        state: State = torch.load(Path(folder) / _FILE, map_location="cpu", weights_only=True)
    prefix = _WRAPPED if wrapped else ""
    model = {prefix + name.removeprefix(_WRAPPED): tensor for name, tensor in state.get("model", {}).items()}
    return state | {"model": model}
