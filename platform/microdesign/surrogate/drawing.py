"""Realisations of a material from a model in process: for images or for a target, of any size that its decoder draws.

Shapes: m images, n realisations of each, D latent, K components, `*N` image axes.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from microdesign.core.errors import InputError
from microdesign.core.progress import Progress, silent
from microdesign.microstructure.data.sizes import named
from microdesign.model.binarization import binarize
from microdesign.model.networks.config import NetworkConfig
from microdesign.model.networks.volume_from_sections import STEPS
from microdesign.surrogate.coarse_to_fine import Decode, Realisations
from microdesign.surrogate.protocol import DrawRequest, Draws, Prior

DrawVolume = Callable[[Tensor, tuple[int, ...], int, Tensor | None], Tensor]
"""Maps latents `(3, D)`, a shape, a seed and volume fractions `(C,)` to probabilities `(C, X, Y, Z)`."""
LARGEST = 2**24
"""Most pixels of a realisation."""


def drawn_shape(size: int | Sequence[int] | None, network: NetworkConfig, dims: int | None = None) -> tuple[int, ...]:
    """Pixels along each axis of what a decoder is asked to draw: one number for all axes, one for each, or its own.

    Args:
        size: The pixels asked for.
        network: The model's.
        dims: 3 for a volume by a model of images.

    Raises:
        InputError: It cannot draw this size, or of so many dimensions.
    """
    dimensions = dims or network.dimensions
    if dimensions != network.dimensions and (dimensions == 2 or network.decoder != "local_global"):
        kind = "volumes" if network.dimensions == 3 else f"images by the decoder {network.decoder}"
        raise InputError(f"dims = {dims}: the model draws {kind}; expected dims = {network.dimensions}.")
    own = (min(network.shape),) * dimensions if dimensions != network.dimensions else network.shape
    asked = "" if size is None else named(size)
    shape = own if size is None else (size,) * dimensions if isinstance(size, int) else tuple(size)
    if len(shape) != dimensions:
        raise InputError(f"size {asked} has {len(shape)} axes; expected one number, or {dimensions}.")
    if shape == own:
        return shape
    if not network.any_size:
        raise InputError(
            f"size {asked} cannot be drawn by the decoder {network.decoder}; expected {named(network.size)}."
        )
    near = [max(2, round(each / network.multiple)) * network.multiple for each in shape]
    if list(shape) != near:
        nearest = near[0] if isinstance(size, int) else named(near)
        raise InputError(f"size {asked} cannot be drawn; expected multiples of {network.multiple}, such as {nearest}.")
    if math.prod(shape) > LARGEST:
        raise InputError(f"size {asked} cannot be drawn; expected at most {LARGEST} pixels in all.")
    return shape


def deviates(n: int, m: int, latent: int, seed: int) -> np.ndarray:
    """Standard normal numbers `(n, m, D)`, by which latents of m images differ from their posterior means."""
    # A stream for each image: what is drawn like one does not depend on the others.
    streams = [np.random.default_rng([seed, number]) for number in range(m)]
    return np.stack([stream.standard_normal((n, latent)) for stream in streams], axis=1)


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


def volumes_of(
    draw_volume: DrawVolume, z: np.ndarray, shape: tuple[int, ...], seed: int, fractions: np.ndarray | None = None
) -> np.ndarray:
    """Draws a volume of each latent `(r, m, D)`, or of each three `(r, m, 3, D)`; uint8 `(r, m, X, Y, Z)`.

    With `fractions` `(m, C)` all volumes of an image, or of three, have its own.
    """
    held = [None] * z.shape[1] if fractions is None else list(torch.from_numpy(fractions.astype(np.float32)))
    found = np.empty((*z.shape[:2], *shape), dtype=np.uint8)
    for row, latents in enumerate(z):
        for column, each in enumerate(latents):
            own = int(np.random.SeedSequence([seed, row, column]).generate_state(1)[0])
            three = torch.from_numpy(np.broadcast_to(each, (3, each.shape[-1])).astype(np.float32))
            found[row, column] = binarize(draw_volume(three, shape, own, held[column])[None])[0].numpy()
    return found


@contextmanager
def sections_counted(denoiser: nn.Module, shape: tuple[int, ...], volumes: int, progress: Progress) -> Iterator[None]:
    """Counts the sections that the denoiser sees while volumes of this shape are drawn.

    A volume takes most of a minute, so that volumes alone would be too few to count.
    """
    total, done = volumes * sum(shape[step % 3] for step in range(STEPS)), 0

    def count(_: nn.Module, given: tuple[Tensor, ...], __: Tensor) -> None:
        nonlocal done
        done += len(given[0])
        progress.count(done, total, "sections denoised")

    progress.count(0, total, "sections denoised")
    hook = denoiser.register_forward_hook(count)
    try:
        yield
    finally:
        hook.remove()


def realisations(
    decode: Decode,
    z: np.ndarray,
    shape: tuple[int, ...],
    seed: int,
    batch: int,
    progress: Progress = silent,
    *,
    coarser: Sequence[np.ndarray] = (),
    halved: np.ndarray | None = None,
    fractions: np.ndarray | None = None,
) -> np.ndarray:
    """Draws an image of each latent `(r, m, D)`, uint8 `(r, m, *N)`, each with a noise of its own.

    Those of an image that is `halved` so many times, `(m,)`, begin with fewer pixels, from latents that are `coarser`:
    of half the pixels, of a quarter, and so on. With `fractions` `(m, C)` all draws of an image have its own.
    """
    latents = tuple(torch.from_numpy(each.astype(np.float32)).flatten(0, 1) for each in (z, *coarser))
    times = np.zeros(z.shape[1], int) if halved is None else halved
    held = None if fractions is None else torch.from_numpy(np.tile(fractions.astype(np.float32), (len(z), 1)))
    # Near latents, such as those of images of one material, would have nearly the same noise by one seed.
    places = np.ndindex(*z.shape[:2])
    own = np.array([int(np.random.SeedSequence([seed, *place]).generate_state(1)[0]) for place in places], np.int64)
    rows = Realisations(latents, own, np.tile(times, len(z)), held)
    found: list[np.ndarray] = []
    progress.count(0, len(own), "images drawn")
    for first in range(0, len(own), batch):
        found.append(binarize(rows.of(slice(first, first + batch)).draw(decode, shape)).numpy())
        progress.count(min(first + batch, len(own)), len(own), "images drawn")
    return np.concatenate(found).reshape(*z.shape[:2], *shape)
