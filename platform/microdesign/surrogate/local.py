"""The surrogate in process, from a model bundle. Shapes as in `microdesign.surrogate.protocol`."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from microdesign.core.errors import InputError
from microdesign.core.progress import Progress, silent
from microdesign.microstructure.data.indicators import indicators
from microdesign.model.bundle import Bundle
from microdesign.model.networks.config import LEAST_SIZE
from microdesign.model.networks.local_global_decoder import LocalGlobalDecoder
from microdesign.model.prior.mixture import Gaussian, Mixture
from microdesign.surrogate.coarse_to_fine import coarsened, halvings
from microdesign.surrogate.drawing import deviates, drawn_shape, draws_for, realisations, sections_counted, volumes_of
from microdesign.surrogate.protocol import DrawRequest, Draws, Prior

PIXELS = 128 * 64 * 64
"""Pixels that go through the network at once: enough to fill it, little enough for a laptop's memory."""


class LocalSurrogate:
    """A surrogate in process, from a bundle.

    Raises:
        InputError: Images of another shape, labels outside the phases, latents of another size or not finite, a
            target that lacks a property of the model, names another one, or is not positive where it must be.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self._standardization = bundle.description.standardization
        self._network = bundle.description.model.network
        self._batch = max(1, PIXELS // math.prod(self._network.shape))

    @property
    def properties(self) -> tuple[str, ...]:
        """Names of the properties, in the order of every property axis."""
        return self.bundle.properties

    @property
    def digest(self) -> str:
        """Identifies the model in records."""
        return self.bundle.digest

    def describe(self) -> Mapping[str, Any]:
        """The content of the bundle's `model.json`."""
        return self.bundle.description.model_dump(mode="json")

    def encode(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Surrogate.encode`."""
        mean, log_std = self._gaussians(self.bundle.model.infer, labels, self._network.latent_size)
        return mean, np.exp(log_std)

    @torch.inference_mode()
    def decode(self, z: np.ndarray) -> np.ndarray:
        """See `Surrogate.decode`."""
        batches = self._latents(z)
        if not batches:
            return np.zeros((0, self._network.channels, *self._network.shape), np.float32)
        probabilities = torch.cat([self.bundle.model.decode(batch) for batch in batches]).numpy()
        if np.isnan(probabilities).any():
            raise InputError(f"Latents as large as {np.abs(z).max():g} overflow the decoder; expected values near 0.")
        return probabilities

    def predict(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Surrogate.predict`."""
        mean, log_std = self._gaussians(self.bundle.model.regress, labels, len(self.properties))
        physical = self._standardization.inverse(mean)
        return physical, self._standardization.inverse_std(physical, np.exp(log_std))

    def jacobian(self, z: np.ndarray) -> np.ndarray:
        """See `Surrogate.jacobian`; a backward pass for each property."""
        model, count = self.bundle.model, len(self.properties)
        found = [np.zeros((0 if count else len(z), count, self._network.latent_size))]
        for batch in self._latents(z) if count else ():
            batch.requires_grad_()
            mean = model.regress(model.decode_straight_through(batch)).mean
            rows = [torch.autograd.grad(mean[:, p].sum(), batch, retain_graph=p < count - 1)[0] for p in range(count)]
            physical = self._standardization.inverse(mean.detach().double().numpy())
            # A standardised derivative becomes a physical one by the same factor as a standardised spread.
            scale = self._standardization.inverse_std(physical, np.ones_like(physical))
            found.append(torch.stack(rows, 1).double().numpy() * scale[:, :, None])
        return np.concatenate(found)

    @torch.inference_mode()
    def prior(self, target: Mapping[str, float]) -> Prior:
        """See `Surrogate.prior`."""
        with np.errstate(over="ignore"):  # what leaves float32's range shows in the mixture
            c = self._standardization.forward(self._target_values(target)).astype(np.float32)
        mixture: Mixture = self.bundle.model.prior(torch.from_numpy(c)[None])
        if not all(torch.isfinite(part).all() for part in mixture):
            named = ", ".join(f"{name} = {value:g}" for name, value in target.items())
            raise InputError(
                f"The target {named} overflows the model's prior; expected values like the training data's."
            )
        # Weights that sum to one in float64 too.
        weights = mixture.log_weights[0].double().softmax(-1)
        return Prior(weights.numpy(), mixture.mean[0].double().numpy(), mixture.log_std[0].double().exp().numpy())

    def sample(self, target: Mapping[str, float], n: int, seed: int) -> Draws:
        """See `Surrogate.sample`."""
        return self.prior(target).sample(n, seed)

    @torch.inference_mode()
    def draw(self, request: DrawRequest, like: np.ndarray | None = None, progress: Progress = silent) -> np.ndarray:
        """See `Surrogate.draw`."""
        request.check(images=like is not None)
        shape = drawn_shape(request.size, self._network, request.dims)
        levels, halved, fractions = [], None, None
        if like is None:
            assert request.target is not None
            levels = [draws_for(self.prior(request.target), request).z[None]]
        else:
            if len(flat := [i for i, image in enumerate(like) if np.ptp(image) == 0]):
                raise InputError(f"image {flat[0]} holds one phase alone; expected one with a structure to draw like.")
            levels, halved = self._levels(like, request, shape)
            channels = range(self._network.phases - self._network.channels, self._network.phases)
            fractions = np.stack([(like == phase).mean(tuple(range(1, like.ndim))) for phase in channels], axis=1)
            if request.per_axis:
                if len(like) != 3:
                    raise InputError(f"images given, one for each axis: {len(like)}; expected three of one size.")
                levels, fractions = [levels[0][:, None]], fractions.mean(0, keepdims=True)
        z = levels[0]
        decoder = self.bundle.model.decoder
        if len(shape) != self._network.dimensions:
            assert isinstance(decoder, LocalGlobalDecoder)  # drawn_shape has seen to it
            with sections_counted(decoder.denoiser, shape, len(z) * len(z[0]), progress):
                labels = volumes_of(decoder.draw_volume, z, shape, request.seed, fractions)
        else:
            batch = max(1, PIXELS // math.prod(shape))
            labels = realisations(
                self.bundle.model.decode,
                z,
                shape,
                request.seed,
                batch,
                progress,
                coarser=levels[1:],
                halved=halved,
                fractions=fractions,
            )
        # Of an image all its realisations come first.
        return labels.swapaxes(0, 1).reshape(-1, *labels.shape[2:])

    def _levels(
        self, like: np.ndarray, request: DrawRequest, shape: tuple[int, ...]
    ) -> tuple[list[np.ndarray], np.ndarray]:
        """Latents `(n, m, D)` of the images, of those with half their pixels and so on, and how often each is halved.

        Images are halved for weights that know several resolutions: others know the pixels of their images alone.
        """
        noise = deviates(request.n, len(like), self._network.latent_size, request.seed)
        mean, std = self.encode(like)
        levels, halved = [mean + std * noise], np.zeros(len(like), int)
        if self.bundle.description.several_resolutions and len(shape) == like.ndim - 1:
            halved = halvings(like, shape, self._network.multiple)
        for times in range(1, halved.max(initial=0) + 1):
            rows, z = halved >= times, np.zeros(noise.shape)
            mean, log_std = self._gaussians(self.bundle.model.infer, like[rows], self._network.latent_size, 2**times)
            z[:, rows] = mean + np.exp(log_std) * noise[:, rows]
            levels.append(z)
        return levels, halved

    @torch.inference_mode()
    def _gaussians(
        self, network: Callable[[Tensor], Gaussian], labels: np.ndarray, outputs: int, coarser: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        x = self._indicators(labels)
        if coarser > 1:
            x = coarsened(x, coarser)
        if not len(x) or not outputs:
            return np.zeros((len(x), outputs)), np.zeros((len(x), outputs))
        batch = max(1, PIXELS // max(1, x[0, 0].numel()))
        gaussians = [network(part) for part in x.split(batch)]
        return (
            torch.cat([gaussian.mean for gaussian in gaussians]).double().numpy(),
            torch.cat([gaussian.log_std for gaussian in gaussians]).double().numpy(),
        )

    def _latents(self, z: np.ndarray) -> list[Tensor]:
        """Latents `(n, D)` in batches, float32; none of none."""
        z = np.asarray(z)
        if (
            z.ndim != 2
            or z.shape[1] != self._network.latent_size
            or z.dtype.kind not in "fiu"
            or not np.isfinite(z).all()
        ):
            raise InputError(
                f"Latents of shape {z.shape} do not fit; expected finite numbers (n, {self._network.latent_size})."
            )
        with np.errstate(over="ignore"):  # what leaves float32's range shows in the probabilities
            values = torch.from_numpy(z.astype(np.float32))
        return list(values.split(self._batch)) if len(z) else []

    def _indicators(self, labels: np.ndarray) -> Tensor:
        labels = np.asarray(labels)
        shape, last = self._network.shape, self._network.phases - 1
        if labels.shape[1:] != shape and self._network.any_size:
            _check_image_size(labels.shape, len(shape))
        elif labels.shape[1:] != shape:
            expected = ", ".join(map(str, shape))
            raise InputError(f"Images of shape {labels.shape} do not fit the model; expected (n, {expected}).")
        if labels.dtype.kind not in "biu" or (labels.size and (labels.min() < 0 or labels.max() > last)):
            raise InputError(
                f"Images hold values other than the integer phase labels 0 {'and' if last == 1 else 'to'} {last}, "
                "which the model expects."
            )
        return indicators(torch.from_numpy(labels.astype(np.uint8)), last + 1)

    def _target_values(self, target: Mapping[str, float]) -> np.ndarray:
        if set(target) != set(self.properties):
            raise InputError(
                f"The target names {', '.join(sorted(target)) or 'nothing'}; expected "
                f"{', '.join(self.properties) or 'none, since the model knows no properties'}."
            )
        values = np.array([float(target[name]) for name in self.properties])
        self._standardization.check(values[None])
        return values


def _check_image_size(shape: tuple[int, ...], dimensions: int) -> None:
    """Refuses images that a network of any size does not take."""
    if len(shape) != dimensions + 1:
        expected = "images, (n, X, Y)" if dimensions == 2 else "volumes, (n, X, Y, Z)"
        raise InputError(f"Images of shape {shape} do not fit the model; expected {expected}.")
    if min(shape[1:]) < LEAST_SIZE:
        raise InputError(
            f"Images of {min(shape[1:])} pixels are too small for the model; expected at least {LEAST_SIZE}."
        )
