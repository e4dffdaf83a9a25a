"""How well models reconstruct held-out images, by two-point statistics and by pixels, image by image.

The experiments of Cai et al., "Latent Representation of Microstructures using Variational Autoencoders with Spatial
Statistics-Space Loss": models that differ in the loss, on one test split. The scores of a model are cached in a file
named by its digest, so that a stopped run continues.

Shapes: M models, N images, C phase channels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from microdesign.experiments.base.cached_arrays import cached_arrays
from microdesign.learning.evaluation.comparison import Comparison
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.indicators import indicators
from microdesign.model.binarization import binarize
from microdesign.model.bundle import Bundle
from microdesign.model.losses.two_point import excess_cess
from microdesign.surrogate.local import LocalSurrogate

SCORES: Mapping[str, str] = {
    "excess_cess": "excess CESS of the binarised decode, nats per offset",
    "excess_cess_soft": "the same before the decode is binarised, as in the paper",
    "pixel_error": "mean square error before the decode is binarised",
    "wrong_pixels": "share of pixels of the binarised decode that differ from the image",
}
"""The scores of a reconstruction, and their meaning."""
PAIRWISE = ("excess_cess", "excess_cess_soft")
"""The scores by which models are compared in pairs."""
_IMAGES = 256


@dataclass(frozen=True)
class Scores:
    """Scores of M models on N images.

    Attributes:
        models: Their names.
        values: Name of a score, one of `SCORES` -> `(M, N)`.
    """

    models: tuple[str, ...]
    values: Mapping[str, np.ndarray]

    def worst(self, model: str, n: int, score: str = "excess_cess") -> np.ndarray:
        """The n images that a model reconstructs worst, worst first."""
        return np.argsort(-self.values[score][self.models.index(model)], kind="stable")[:n]

    def comparison(self, score: str) -> Comparison:
        """The models side by side by one score."""
        medians = np.median(self.values[score], axis=1)
        return Comparison(
            {model: {score: float(value)} for model, value in zip(self.models, medians, strict=True)},
            self.values[score],
        )


def score_models(bundles: Mapping[str, Bundle], data: Microstructures, folder: Path) -> Scores:
    """Scores the reconstructions of all models on the same images; cached scores in `folder` are reused.

    The folder must belong to these images: a file of scores is named by the digest of the model alone.
    """
    found = [cached_arrays(folder / f"{each.digest[:16]}.npz", partial(score, each, data)) for each in bundles.values()]
    return Scores(tuple(bundles), {name: np.stack([each[name] for each in found]) for name in SCORES})


def score(bundle: Bundle, data: Microstructures) -> dict[str, np.ndarray]:
    """The `SCORES` of each image's reconstruction, the decode of its posterior mean, each `(N,)`."""
    surrogate = LocalSurrogate(bundle)
    parts: dict[str, list[torch.Tensor]] = {name: [] for name in SCORES}
    for start in range(0, len(data), _IMAGES):
        batch = data.select(slice(start, start + _IMAGES))
        z = surrogate.encode(batch.labels)[0]
        x, soft = batch.indicator(), torch.from_numpy(surrogate.decode(z))
        labels = binarize(soft)
        parts["excess_cess"].append(excess_cess(x, indicators(labels, data.n_phases)))
        parts["excess_cess_soft"].append(excess_cess(x, soft))
        parts["pixel_error"].append((soft - x).square().flatten(1).mean(1))
        parts["wrong_pixels"].append((labels != torch.from_numpy(batch.labels)).flatten(1).double().mean(1))
    return {name: torch.cat(each).double().numpy() for name, each in parts.items()}
