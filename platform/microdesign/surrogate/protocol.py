"""What a design campaign needs of a trained model: the protocol `Surrogate`, and the priors and draws that it gives.

Shapes: n samples, D latent, K components, P properties, `*N` two or three image axes, C channels (1 for two phases,
else one per phase). Everything is NumPy and in physical units, so that a surrogate behind HTTP returns the same arrays
as one in process, except for the Jacobian, which an endpoint does not have.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from microdesign.core.errors import InputError
from microdesign.core.progress import Progress, silent
from microdesign.model.binarization import binarize
from microdesign.model.prior.mixture import Mixture

_BINARIZED_AT_ONCE = 64


@dataclass(frozen=True)
class Draws:
    """Latents from a prior: `z` (n, D), `component` (n,) int, `log_density` (n,) of the whole mixture."""

    z: np.ndarray
    component: np.ndarray
    log_density: np.ndarray


@dataclass(frozen=True)
class Prior:
    """p(z|c) at one target, a Gaussian mixture: `weights` (K,), `mean` (K, D), `std` (K, D)."""

    weights: np.ndarray
    mean: np.ndarray
    std: np.ndarray

    def mixture(self) -> Mixture:
        """The same as a batch of one mixture, float64."""
        log_weights = torch.from_numpy(self.weights).double().log()
        return Mixture(log_weights[None], torch.from_numpy(self.mean)[None], torch.from_numpy(self.std).log()[None])

    def log_density(self, z: np.ndarray) -> np.ndarray:
        """log p(z|c) for z `(n, D)`: `(n,)`, in nats."""
        return self.mixture().log_density(torch.from_numpy(np.asarray(z, float))).numpy()

    def sample(self, n: int, seed: int) -> Draws:
        """Draws n latents; the component first, then the latent within it. The same seed gives the same draws.

        Raises:
            InputError: n or the seed is negative.

        Example:
            >>> prior = Prior(np.array([0.5, 0.5]), np.array([[-1.0], [1.0]]), np.full((2, 1), 0.1))
            >>> prior.sample(3, seed=0).z.shape
            (3, 1)
        """
        if n < 0 or seed < 0:
            raise InputError(f"n = {n}, seed = {seed}: expected neither to be negative.")
        stream = np.random.default_rng(seed)
        component = stream.choice(len(self.weights), size=n, p=self.weights / self.weights.sum())
        z = self.mean[component] + self.std[component] * stream.standard_normal((n, self.mean.shape[1]))
        return Draws(z, component, self.log_density(z))


@dataclass(frozen=True)
class DrawRequest:
    """What to draw: realisations of a material, given by images or by a target.

    Attributes:
        target: A value of every property; None where images are given.
        n: Realisations, of each image.
        seed: The same seed gives the same realisations.
        size: Pixels along all axes, or along each; the model's own when None.
        component: The component of p(z|c) to draw from; by weight when None. Of a target alone.
        dims: 3 draws volumes by a model of images, whose sections look like what the model would draw.
        per_axis: Volumes with a material's own look across each axis: of three images, that across x first.
    """

    target: Mapping[str, float] | None = None
    n: int = 1
    seed: int = 0
    size: int | Sequence[int] | None = None
    component: int | None = None
    dims: int | None = None
    per_axis: bool = False

    def check(self, images: bool) -> None:
        """Checks what does not depend on the model.

        Raises:
            InputError: Neither images nor a target are given, or both are, or a number is out of its range.
        """
        if images == (self.target is not None):
            what = "both images and a target are" if images else "neither images nor a target are"
            raise InputError(f"{what} given to draw from; expected one of the two.")
        if self.n < 1 or self.seed < 0:
            raise InputError(f"n = {self.n}, seed = {self.seed}: expected n of at least 1 and a seed of at least 0.")
        if images and self.component is not None:
            raise InputError(f"component = {self.component} is given with images; expected it with a target alone.")
        if self.dims not in (None, 2, 3):
            raise InputError(f"dims = {self.dims}: expected 2 for images or 3 for volumes.")
        if self.per_axis and (self.dims != 3 or not images):
            raise InputError("an image per axis is given without dims = 3 or without images; expected both with it.")


class Surrogate(Protocol):
    """A trained model as campaigns use it: `LocalSurrogate`, `RemoteSurrogate`, and the wrappers of either.

    Raises:
        InputError: From every method that takes arrays or a target, where these do not fit the model.
    """

    @property
    def properties(self) -> tuple[str, ...]:
        """Names of the properties, in the order of every property axis."""

    @property
    def digest(self) -> str:
        """Identifies the model in records."""

    def describe(self) -> Mapping[str, Any]:
        """The content of the bundle's `model.json`."""

    def encode(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of q(z|x), each `(n, D)`, for uint8 labels `(n, *N)`."""

    def decode(self, z: np.ndarray) -> np.ndarray:
        """Phase probabilities, float32 `(n, C, *N)`, for latents `(n, D)`; of phase 1 alone if there are two."""

    def predict(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the properties, each `(n, P)`, for uint8 labels `(n, *N)`."""

    def jacobian(self, z: np.ndarray) -> np.ndarray | None:
        """Derivatives `(n, P, D)` of the predicted properties of the decodes of z `(n, D)`; None where there are none.

        The gradient passes straight through the binarisation, which itself has no derivative.
        """

    def prior(self, target: Mapping[str, float]) -> Prior:
        """p(z|c) at the target's properties."""

    def sample(self, target: Mapping[str, float], n: int, seed: int) -> Draws:
        """n latents from p(z|c) at the target's properties; the same seed gives the same draws."""

    def draw(self, request: DrawRequest, like: np.ndarray | None = None, progress: Progress = silent) -> np.ndarray:
        """Realisations of the material of the images `like`, uint8 `(m, *N)`, or for the request's target.

        `progress` takes counts of what is drawn.

        Returns:
            Labels, uint8 `(m * n, *N)`: n of each image in order, or `(n, *N)` for the target.
        """


def decode_labels(surrogate: Surrogate, z: np.ndarray) -> np.ndarray:
    """Decodes latents `(n, D)` to phase labels, uint8 `(n, *N)`: the surrogate's decode, binarised by `binarize`."""
    # In parts: probabilities take many times the memory of labels, and binarising many times that of probabilities.
    step = _BINARIZED_AT_ONCE
    parts = [z[start : start + step] for start in range(0, max(1, len(z)), step)]
    return np.concatenate([binarize(torch.from_numpy(surrogate.decode(part))).numpy() for part in parts])
