"""The model's parts as Ray Serve deployments: requests that arrive together are one batch of the network.

Shapes as in `microdesign.surrogate.protocol`. Bad input is returned as an `InputError` and not raised: Serve logs an
exception of a replica as a crash, with its traceback.
"""

import asyncio
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ray import serve

from microdesign.core.errors import InputError
from microdesign.learning.models import load_model
from microdesign.model.bundle import Bundle
from microdesign.model.networks.config import NetworkConfig
from microdesign.surrogate.drawing import LARGEST, drawn_shape
from microdesign.surrogate.intervals import calibrated_prediction, prediction_fields
from microdesign.surrogate.local import LocalSurrogate
from microdesign.surrogate.protocol import DrawRequest

WAIT = 0.005
"""Seconds that a request waits for others to share its batch."""
MOST_DRAWN_IN_SECTIONS = 2**21
"""Voxels of volumes by a model of images that a request may ask for: 40 s of a core."""

Arrays = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Computed:
    """What one replica made of a request: values, their names and the model are of the same replica.

    Attributes:
        digest: The model's.
        properties: Names of its properties, in the order of every property axis.
        arrays: Arrays by name.
    """

    digest: str
    properties: tuple[str, ...]
    arrays: Mapping[str, np.ndarray]


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

    def __init__(self, source: Source, cpus: float, max_batch_size: int) -> None:
        torch.set_num_threads(max(1, int(cpus)))
        self.surrogate, self._most = LocalSurrogate(source.load()), max_batch_size

    def computed(self, arrays: Mapping[str, np.ndarray]) -> Computed:
        return Computed(self.surrogate.digest, tuple(self.surrogate.properties), arrays)

    async def in_batches(self, method: Any, names: Sequence[str], array: np.ndarray) -> Computed | InputError:
        """Calls a method with a queue on pieces that fit a batch: an ingress of other settings may send larger ones."""
        starts = range(0, max(len(array), 1), self._most)
        answers = await asyncio.gather(*(method(array[start : start + self._most]) for start in starts))
        for answer in answers:
            if isinstance(answer, InputError):
                return answer
        parts = zip(*answers, strict=True)
        return self.computed({name: np.concatenate(each) for name, each in zip(names, parts, strict=True)})


@serve.deployment
class Encoder(_Replica):
    """q(z|x)."""

    def __init__(self, source: Source, cpus: float, max_batch_size: int) -> None:
        super().__init__(source, cpus, max_batch_size)
        _limit(self._encode, max_batch_size)

    async def encode(self, labels: np.ndarray) -> Computed | InputError:
        """Mean and standard deviation, each `(n, D)`, for labels `(n, *N)`."""
        return await self.in_batches(self._encode, ("mean", "std"), labels)

    @serve.batch(batch_wait_timeout_s=WAIT, batch_size_fn=_length)
    async def _encode(self, batch: list[np.ndarray]) -> list[Arrays | InputError]:
        return await asyncio.to_thread(batched, self.surrogate.encode, batch)


@serve.deployment
class PropertyPredictor(_Replica):
    """q(c|x)."""

    def __init__(self, source: Source, cpus: float, max_batch_size: int) -> None:
        super().__init__(source, cpus, max_batch_size)
        _limit(self._predict, max_batch_size)

    async def predict(self, labels: np.ndarray) -> Computed | InputError:
        """The arrays of `calibrated_prediction` for labels `(n, *N)`."""
        return await self.in_batches(self._predict, prediction_fields(self.surrogate.describe()), labels)

    @serve.batch(batch_wait_timeout_s=WAIT, batch_size_fn=_length)
    async def _predict(self, batch: list[np.ndarray]) -> list[Arrays | InputError]:
        return await asyncio.to_thread(batched, self._calibrated, batch)

    def _calibrated(self, labels: np.ndarray) -> Arrays:
        return tuple(calibrated_prediction(self.surrogate, labels).values())


@serve.deployment
class Decoder(_Replica):
    """The generative half: p(x|z) and p(z|c)."""

    def __init__(self, source: Source, cpus: float, max_batch_size: int) -> None:
        super().__init__(source, cpus, max_batch_size)
        _limit(self._decode, max_batch_size)

    async def decode(self, z: np.ndarray) -> Computed | InputError:
        """Phase probabilities `(n, C, *N)` for latents `(n, D)`."""
        return await self.in_batches(self._decode, ("probabilities",), z)

    @serve.batch(batch_wait_timeout_s=WAIT, batch_size_fn=_length)
    async def _decode(self, batch: list[np.ndarray]) -> list[Arrays | InputError]:
        return await asyncio.to_thread(batched, lambda z: (self.surrogate.decode(z),), batch)

    async def sample(self, target: Mapping[str, float], n: int, seed: int) -> Computed | InputError:
        """n latents of p(z|c) with their component and log density, and the mixture that they are from."""
        try:
            prior = self.surrogate.prior(target)
        except InputError as error:
            return error
        drawn = await asyncio.to_thread(prior.sample, n, seed)
        return self.computed(
            {
                "z": drawn.z,
                "component": drawn.component,
                "log_density": drawn.log_density,
                "weights": prior.weights,
                "mean": prior.mean,
                "std": prior.std,
            }
        )

    async def draw(self, request: DrawRequest, like: np.ndarray | None) -> Computed | InputError:
        """Realisations, uint8 `(m * n, *N)`, see `LocalSurrogate.draw`."""
        try:
            _check_realisations(request, like, self.surrogate.bundle.description.model.network)
            return self.computed({"labels": await asyncio.to_thread(self.surrogate.draw, request, like)})
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


def _check_realisations(request: DrawRequest, like: np.ndarray | None, network: NetworkConfig) -> None:
    """Refuses a small request for what would take gigabytes, or minutes.

    Raises:
        InputError: It asks for too many pixels in all.
    """
    shape = drawn_shape(request.size, network, request.dims)
    count = request.n * (1 if like is None or request.per_axis else len(like))
    most = LARGEST if len(shape) == network.dimensions else MOST_DRAWN_IN_SECTIONS
    if count * math.prod(shape) > most:
        raise InputError(
            f"{count} realisations of {' x '.join(map(str, shape))} are too many for a request; "
            f"expected at most {most} pixels in all."
        )
