"""Batches for pretraining: of one source each, whole periodic images or windows, turned, flipped and shifted.

Shapes: n images, `*N` two or three equal axes: images stands for volumes, too.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from microdesign.core.errors import InputError
from microdesign.core.pixels import shown_edges
from microdesign.learning.data.samples import Samples, usable
from microdesign.learning.pretraining.config import SourceConfig
from microdesign.microstructure.data.dataset import Dataset
from microdesign.microstructure.data.indicators import indicators
from microdesign.microstructure.data.shards import unpack
from microdesign.model.networks.blocks import channels_last


class Source:
    """The training images of a data set, packed.

    Raises:
        InputError: There is no such data set, its images are no squares or cubes of so many phases, or a window does
            not fit.
    """

    def __init__(self, config: SourceConfig, phases: int = 2, dims: int = 2) -> None:
        dataset = Dataset.open(config.dataset)
        manifest, window = dataset.manifest, config.window
        square = window is not None or len(set(manifest.shape)) == 1
        if manifest.n_phases != phases or not square or len(manifest.shape) != dims:
            wanted = "square images" if dims == 2 else "cubic volumes"
            raise InputError(f"{config.dataset}: holds no {wanted} of {phases} phases, which the network takes.")
        if manifest.aspect:
            raise InputError(
                f"{config.dataset}: has pixels of {shown_edges(manifest.aspect)}; expected squares or cubes."
            )
        if window is not None and window > min(manifest.shape):
            raise InputError(
                f"{config.dataset}: has images of {min(manifest.shape)} pixels; expected {window} or more."
            )
        self.window, self.shape, self.phases = window, manifest.shape, phases
        self.size = window or manifest.shape[0]
        self.periodic = window is None and manifest.periodic
        self.samples = Samples.read(dataset, usable(dataset, "train", (), True))

    def draw(self, n: int, stream: np.random.Generator) -> np.ndarray:
        """n images or windows, uint8 `(n, *N)`, chosen at random with repetition."""
        chosen = stream.integers(len(self.samples), size=n)
        if self.window is None:
            return unpack(self.samples.packed[chosen], self.shape, self.phases)
        # Of few large images each is unpacked once.
        some, which = np.unique(chosen, return_inverse=True)
        labels = unpack(self.samples.packed[some], self.shape, self.phases)
        corners = stream.integers(np.array(self.shape) - self.window + 1, size=(n, len(self.shape)))
        return np.stack(
            [
                labels[image, *(slice(start, start + self.window) for start in corner)]
                for image, corner in zip(which, corners, strict=True)
            ]
        )


class Batches:
    """Batches by number, each of which depends on its number and the seed alone.

    Args:
        configs: The sources.
        pixels: Pixels of a batch, so that all take about the same time.
        inverted: Share of the steps with the phases in the opposite order.
        seed: Of all draws.
        turns: Whether images are turned and mirrored.
        phases: Number of phases P.
        dims: 2 of images, 3 of volumes.
    """

    def __init__(
        self,
        configs: Sequence[SourceConfig],
        pixels: int,
        inverted: float,
        seed: int,
        turns: bool = True,
        phases: int = 2,
        dims: int = 2,
    ) -> None:
        self.sources = [Source(each, phases, dims) for each in configs]
        shares = np.array([each.share for each in configs])
        self.shares, self.pixels, self.inverted, self.seed = shares / shares.sum(), pixels, inverted, seed
        self.turns, self.phases, self.dims = turns, phases, dims

    def batch(self, number: int) -> tuple[Tensor, bool]:
        """Indicators `(B, C, *N)`, channels last, and whether they are periodic."""
        stream = np.random.default_rng([self.seed, number])
        source = self.sources[int(stream.choice(len(self.sources), p=self.shares))]
        labels = source.draw(max(1, self.pixels // source.size**self.dims), stream)
        if source.periodic:
            axes = tuple(range(1, labels.ndim))
            labels = np.roll(labels, stream.integers(source.size, size=self.dims), axes)
        if self.turns:
            labels = _turned(labels, stream)
        labels = self.phases - 1 - labels if stream.random() < self.inverted else labels
        x = indicators(torch.from_numpy(np.ascontiguousarray(labels)), self.phases)
        return channels_last(x.contiguous()), source.periodic


def _turned(labels: np.ndarray, stream: np.random.Generator) -> np.ndarray:
    """Images `(n, *N)` mirrored and with their axes exchanged at random, all in the same way."""
    if labels.ndim == 4:
        labels = np.flip(labels, tuple(axis for axis in (1, 2, 3) if stream.random() < 0.5))
        return labels.transpose(0, *(1 + stream.permutation(3)))
    labels = labels[:, ::-1] if stream.random() < 0.5 else labels
    return labels.transpose(0, 2, 1) if stream.random() < 0.5 else labels
