"""Training states as Ray checkpoints, for any number of workers.

Worker 0 saves the state that all workers share. Every worker saves what is its own, such as its replay buffer: Ray
merges the files of all workers into one checkpoint.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import ray.train
import torch

from microdesign.learning.training.loop import State

_SHARED = "state.pt"
_OWN = "worker-{}.pt"
_WRAPPED = "module."  # what DistributedDataParallel puts before every name


@contextmanager
def state_checkpoint(save: Callable[[], State], rank: int = 0) -> Iterator[ray.train.Checkpoint]:
    """Yields a worker's part of the checkpoint of the state that `save` returns; its files are gone after the block."""
    with tempfile.TemporaryDirectory() as folder:
        state = save()
        torch.save(state.pop("own", {}), Path(folder) / _OWN.format(rank))
        if rank == 0:
            torch.save(state, Path(folder) / _SHARED)
        yield ray.train.Checkpoint.from_directory(folder)


def load_state(checkpoint: ray.train.Checkpoint | None, rank: int = 0, wrapped: bool = False) -> State | None:
    """Loads a worker's training state, or None; tensors and plain values only, never code.

    Args:
        checkpoint: Where it is.
        rank: The worker. Where fewer workers saved the checkpoint, it takes up what one of them had of its own.
        wrapped: Whether it is for a model wrapped for several workers, whose names have a prefix; any number of workers
            may have saved it.
    """
    if checkpoint is None:
        return None
    folder = Path(checkpoint.path)  # in the run's folder, which all workers see
    state: State = torch.load(folder / _SHARED, map_location="cpu", weights_only=True)
    if saved := len(list(folder.glob(_OWN.format("*")))):
        state["own"] = torch.load(folder / _OWN.format(rank % saved), map_location="cpu", weights_only=True)
    prefix = _WRAPPED if wrapped else ""
    model = {prefix + name.removeprefix(_WRAPPED): tensor for name, tensor in state.get("model", {}).items()}
    return state | {"model": model}
