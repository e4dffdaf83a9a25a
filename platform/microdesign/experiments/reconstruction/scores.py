"""How well models reconstruct held-out images, by two-point statistics and by pixels, image by image.

The experiments of Cai et al., "Latent Representation of Microstructures using Variational Autoencoders with Spatial
Statistics-Space Loss": models that differ in the loss, on one test split. Scores of a model are kept in a file that its
digest names, so a run that was killed goes on.

Shapes: M models, N images, C phase channels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from microdesign.experiments.base.cached import kept_arrays
from microdesign.microstructure.data.container import Microstructures
from microdesign.model.binarization import binarize
from microdesign.model.bundle import Bundle
from microdesign.model.indicators import indicators
from microdesign.model.losses.two_point import excess_cess
from microdesign.surrogate.local import LocalSurrogate

SCORES: Mapping[str, str] = {
    "excess_cess": "excess CESS of the binarised decode, nats per offset",
    "excess_cess_soft": "the same of the decode before it is cut, as the paper has it",
    "pixel_error": "mean square error of the decode before it is cut",
    "wrong_pixels": "share of pixels of the binarised decode that differ from the image",
}
"""What is measured of each reconstruction, and what it is."""
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


def score_models(bundles: Mapping[str, Bundle], data: Microstructures, folder: Path) -> Scores:
    """Scores the reconstructions of all models on the same images; those on record in `folder` are not made again.

    The folder is that of these images: a score's file is named by the digest of the model alone.
    """
    found = [kept_arrays(folder / f"{each.digest[:16]}.npz", partial(score, each, data)) for each in bundles.values()]
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
