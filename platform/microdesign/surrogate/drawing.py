"""Realisations of a material from a model in process: for images or for a target, of any size that its decoder draws.

Shapes: m images, n realisations of each, D latent, K components, `*N` image axes.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from microdesign.core.errors import InputError
from microdesign.model.binarization import binarize
from microdesign.model.networks.config import NetworkConfig
from microdesign.surrogate.protocol import DrawRequest, Draws, Prior

Decode = Callable[[Tensor, tuple[int, ...] | None, int], Tensor]
"""Maps latents `(B, D)`, a shape and a seed of the decoder's noise to probabilities `(B, C, *N)`."""
LARGEST = 2**24
"""Most pixels of a realisation."""


def drawn_shape(size: int | Sequence[int] | None, network: NetworkConfig) -> tuple[int, ...]:
    """Pixels along each axis of what a decoder is asked to draw: one number for all axes, one for each, or its own.

    Raises:
        InputError: It cannot draw this size.
    """
    named = size if size is None or isinstance(size, int) else ",".join(map(str, size))
    shape = network.shape if size is None else (size,) * network.dimensions if isinstance(size, int) else tuple(size)
    if len(shape) != network.dimensions:
        raise InputError(f"size {named} has {len(shape)} axes; expected one number, or {network.dimensions}.")
    if shape == network.shape:
        return shape
    if not network.any_size:
        raise InputError(f"size {named} cannot be drawn by the decoder {network.decoder}; expected {network.size}.")
    near = [max(2, round(each / network.multiple)) * network.multiple for each in shape]
    if list(shape) != near:
        nearest = near[0] if isinstance(size, int) else ",".join(map(str, near))
        raise InputError(f"size {named} cannot be drawn; expected multiples of {network.multiple}, such as {nearest}.")
    if math.prod(shape) > LARGEST:
        raise InputError(f"size {named} cannot be drawn; expected at most {LARGEST} pixels in all.")
    return shape


def draws_like(mean: np.ndarray, std: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Latents `(n, m, D)` from posteriors of m images, mean and standard deviation `(m, D)`."""
    # A stream for each image: what is drawn like one does not depend on the others.
    streams = [np.random.default_rng([seed, number]) for number in range(len(mean))]
    noise = [stream.standard_normal((n, mean.shape[1])) for stream in streams]
    return mean + std * np.stack(noise, axis=1)


def draws_for(prior: Prior, request: DrawRequest) -> Draws:
    """Latents `(n, D)` from p(z|c), of one component where the request names one.

    Raises:
        InputError: There is no such component.
    """
    k = request.component
    if k is not None:
        if not 0 <= k < len(prior.weights):
            raise InputError(f"component {k} is none of the model's; expected 0 to {len(prior.weights) - 1}.")
        prior = Prior(np.ones(1), prior.mean[k : k + 1], prior.std[k : k + 1])
    return prior.sample(request.n, request.seed)


def realisations(decode: Decode, z: np.ndarray, shape: tuple[int, ...], seed: int, batch: int) -> np.ndarray:
    """Draws an image of each latent `(r, m, D)`, uint8 `(r, m, *N)`; the noise of every r is another one."""
    found = []
    for number, latents in enumerate(z):
        # A seed of its own for each: near latents would have nearly the same noise.
        own = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
        parts = torch.from_numpy(latents.astype(np.float32)).split(batch)
        found.append(np.concatenate([binarize(decode(part, shape, own)).numpy() for part in parts]))
    return np.stack(found)
