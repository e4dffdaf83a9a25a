"""The model's parts as Ray Serve deployments: requests that arrive together are one batch of the network.

Shapes as in `microdesign.surrogate.protocol`. Bad input is returned as an `InputError` and not raised: Serve logs an
exception of a replica as a crash, with its traceback.
"""

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ray import serve

from microdesign.core.errors import InputError
from microdesign.learning.models import load_model
from microdesign.model.bundle import Bundle
from microdesign.surrogate.intervals import calibrated_prediction
from microdesign.surrogate.local import LocalSurrogate
from microdesign.surrogate.protocol import DrawRequest

WAIT = 0.005
"""Seconds that a request waits for others to share its batch."""

Arrays = tuple[np.ndarray, ...]


def cache() -> Path:
    """Folder on this machine for bundles from the registry."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "microdesign" / "bundles"


@dataclass(frozen=True)
class Source:
    """Where a replica gets its model: a bundle folder, or a registered model at a tracking address."""

    reference: str
    tracking_uri: str | None = None

    def load(self) -> Bundle:
        """Loads the bundle; a registered one through this machine's cache.

        Raises:
            InputError: There is no such bundle, or it is damaged.
        """
        return load_model(self.reference, cache(), self.tracking_uri)


def batched(function: Callable[[np.ndarray], Arrays], batch: list[np.ndarray]) -> list[Arrays | InputError]:
    """Calls `function` once on the arrays of a batch put end to end, and splits its arrays where theirs end.

    If that is bad input, each array is tried alone, so that one bad request does not affect the others.
    """
    try:
        whole = function(np.concatenate(batch))
    except ValueError:  # InputError is one; arrays that do not fit together raise a plain one
        return [_alone(function, array) for array in batch]
    ends = np.cumsum([len(array) for array in batch])[:-1]
    return list(zip(*(np.split(part, ends) for part in whole), strict=True))


def _alone(function: Callable[[np.ndarray], Arrays], array: np.ndarray) -> Arrays | InputError:
    try:
        return function(array)
    except InputError as error:
        return error


def _length(batch: list[np.ndarray]) -> int:
    return sum(len(array) for array in batch)


def _limit(method: Any, size: int) -> None:
    """Sets how many entries share a batch; `serve.batch` adds this method to the one that it decorates."""
    method.set_max_batch_size(size)


class _Replica:
    """Base of the three: the model, and as many threads as processors were given."""

    def __init__(self, source: Source, cpus: float) -> None:
        torch.set_num_threads(max(1, int(cpus)))
        self.surrogate = LocalSurrogate(source.load())


@serve.deployment
class Encoder(_Replica):
    """q(z|x)."""

    def __init__(self, source: Source, cpus: float, max_batch_size: int) -> None:
        super().__init__(source, cpus)
        _limit(self.encode, max_batch_size)

    @serve.batch(batch_wait_timeout_s=WAIT, batch_size_fn=_length)
    async def encode(self, batch: list[np.ndarray]) -> list[Arrays | InputError]:
        """Mean and standard deviation, each `(n, D)`, for labels `(n, *N)`."""
        return await asyncio.to_thread(batched, self.surrogate.encode, batch)


@serve.deployment
class PropertyPredictor(_Replica):
    """q(c|x)."""

    def __init__(self, source: Source, cpus: float, max_batch_size: int) -> None:
        super().__init__(source, cpus)
        _limit(self.predict, max_batch_size)

    @serve.batch(batch_wait_timeout_s=WAIT, batch_size_fn=_length)
    async def predict(self, batch: list[np.ndarray]) -> list[Arrays | InputError]:
        """The arrays of `calibrated_prediction`, in its order, for labels `(n, *N)`."""
        return await asyncio.to_thread(batched, self._predict, batch)

    def _predict(self, labels: np.ndarray) -> Arrays:
        return tuple(calibrated_prediction(self.surrogate, labels).values())


@serve.deployment
class Decoder(_Replica):
    """The generative half: p(x|z) and p(z|c)."""

    def __init__(self, source: Source, cpus: float, max_batch_size: int) -> None:
        super().__init__(source, cpus)
        _limit(self.decode, max_batch_size)

    @serve.batch(batch_wait_timeout_s=WAIT, batch_size_fn=_length)
    async def decode(self, batch: list[np.ndarray]) -> list[Arrays | InputError]:
        """Phase probabilities `(n, C, *N)`, alone in a tuple, for latents `(n, D)`."""
        return await asyncio.to_thread(batched, lambda z: (self.surrogate.decode(z),), batch)

    async def sample(self, target: Mapping[str, float], n: int, seed: int) -> dict[str, np.ndarray] | InputError:
        """n latents of p(z|c) with their component and log density, and the mixture that they are from."""
        try:
            prior = self.surrogate.prior(target)
        except InputError as error:
            return error
        drawn = await asyncio.to_thread(prior.sample, n, seed)
        return {
            "z": drawn.z,
            "component": drawn.component,
            "log_density": drawn.log_density,
            "weights": prior.weights,
            "mean": prior.mean,
            "std": prior.std,
        }

    async def draw(self, request: DrawRequest, like: np.ndarray | None) -> np.ndarray | InputError:
        """Realisations, uint8 `(m * n, *N)`, see `LocalSurrogate.draw`."""
        try:
            return await asyncio.to_thread(self.surrogate.draw, request, like)
        except InputError as error:
            return error

    async def model(self) -> dict[str, Any]:
        """The model's digest, its properties and its description."""
        surrogate = self.surrogate
        return {
            "digest": surrogate.digest,
            "properties": list(surrogate.properties),
            "description": surrogate.describe(),
        }
