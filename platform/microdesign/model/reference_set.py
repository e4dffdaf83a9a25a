"""The reference set of a model: a sample of its training data, for out-of-distribution scores of images and latents.

Shapes: n scored samples, m training samples, q held-out ones, F statistics, D latent, `*N` image.

An image is measured by its distance in two-point statistics to the nearest of the training images, a latent by its
density under the aggregate posterior, the mixture of the training images' q(z|x). The score is the rank among held-out
images: the share of them that are nearer, or denser. Above 0.99 a prediction of the model is an extrapolation.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.statistics.similarity import nearest_rms_distance, sampled_two_point

MOST_SAMPLES = 500
"""Training samples in a reference set: a megabyte at most at usual sizes."""


@dataclass(frozen=True)
class ReferenceSet:
    """Statistics and posteriors of training images, and what held-out images score against them, float32.

    Attributes:
        statistics: Two-point statistics of training images, `(m, F)`.
        mean, log_std: Their posteriors q(z|x), `(m, D)`.
        distances: Distance of each held-out image to its nearest training image, `(q,)`, rising.
        densities: Log density of a draw from each held-out image's posterior, `(q,)`, rising.
    """

    statistics: Tensor
    mean: Tensor
    log_std: Tensor
    distances: Tensor
    densities: Tensor

    @classmethod
    def fit(
        cls,
        training: Microstructures,
        posterior: tuple[np.ndarray, np.ndarray],
        held_out: Microstructures,
        held_out_posterior: tuple[np.ndarray, np.ndarray],
        seed: int = 0,
    ) -> "ReferenceSet":
        """Samples `MOST_SAMPLES` training images and measures the held-out ones.

        Args:
            training: Training images.
            posterior: Mean and standard deviation of their q(z|x), each `(n, D)`.
            held_out: Images that the model was not trained on.
            held_out_posterior: The same of them.
            seed: Seed of the draws.
        """
        stream = np.random.default_rng(seed)
        kept = np.sort(stream.permutation(len(training))[:MOST_SAMPLES])
        mean, std = (torch.from_numpy(part[kept]).float() for part in posterior)
        empty = torch.zeros(0)
        part = cls(sampled_two_point(training.select(kept)), mean, std.log(), empty, empty)
        mean_held, std_held = held_out_posterior
        draws = mean_held + std_held * stream.standard_normal(mean_held.shape)
        return cls(
            part.statistics,
            part.mean,
            part.log_std,
            torch.from_numpy(np.sort(part.distance(held_out))).float(),
            torch.from_numpy(np.sort(part.log_density(draws))).float(),
        )

    def distance(self, images: Microstructures) -> np.ndarray:
        """Root mean square difference of two-point statistics to the nearest training image, `(n,)`."""
        return nearest_rms_distance(sampled_two_point(images), self.statistics).double().numpy()

    def image_score(self, images: Microstructures) -> np.ndarray:
        """Out-of-distribution score: the share of held-out images that are nearer to the training images, `(n,)`."""
        return np.searchsorted(self.distances.numpy(), self.distance(images).astype(np.float32)) / len(self.distances)

    def log_density(self, z: np.ndarray) -> np.ndarray:
        """Log density of latents `(n, D)` under the mean of the training images' posteriors, `(n,)`, in nats."""
        points = torch.from_numpy(np.asarray(z, float))
        mean, log_std = self.mean.double(), self.log_std.double()
        precision = (-2 * log_std).exp()
        # The squares of all pairs by matrix products: n x m x D numbers would not fit.
        squares = points**2 @ precision.T - 2 * points @ (mean * precision).T + (mean**2 * precision).sum(1)
        normal = -log_std.sum(1) - 0.5 * mean.shape[1] * math.log(2 * math.pi)
        return ((normal - 0.5 * squares).logsumexp(1) - math.log(len(mean))).numpy()

    def latent_score(self, z: np.ndarray) -> np.ndarray:
        """Out-of-distribution score: the share of held-out latents of higher density, `(n,)`, 0 to 1."""
        below = np.searchsorted(self.densities.numpy(), self.log_density(z).astype(np.float32), side="right")
        return 1 - below / len(self.densities)

    def tensors(self) -> dict[str, Tensor]:
        """Everything by name, to be stored."""
        return {name: getattr(self, name).contiguous() for name in self.__dataclass_fields__}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> "ReferenceSet":
        """The inverse of `tensors`.

        Raises:
            TypeError: One is missing, or there are others.
        """
        return cls(**tensors)
