"""A small convolutional classifier of images that judges decodes. Shapes: n images, X Y pixels."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from microdesign.microstructure.data.indicators import indicators
from microdesign.model.networks.blocks import with_channels_last_weights
from microdesign.model.networks.precision import mixed_precision

BATCH = 32
"""Images of a training step."""
_WIDTHS = (16, 24, 32, 48, 64)
_SMALLEST_MAP = 8
"""Pixels an edge below which the maps are not halved again."""
_LEARNING_RATE = 4e-3


class ImageClassifier:
    """Trained by `fit`, of images of any size and number of phases; seeded.

    Args:
        n_phases: Number of phases.
        classes: Number of classes.
        periodic: Whether images tile space, as crops do not.
        turned: Whether an image and its transpose are of one class.
        seed: Of weights, batches and augmentation.
    """

    def __init__(self, n_phases: int, classes: int, periodic: bool = True, turned: bool = False, seed: int = 0) -> None:
        self.n_phases, self.classes, self.periodic, self.turned, self.seed = n_phases, classes, periodic, turned, seed
        self._model: nn.Module = nn.Identity()

    def fit(self, images: np.ndarray, classes: np.ndarray, steps: int) -> "ImageClassifier":
        """Trains on images uint8 `(n, X, Y)` of classes `(n,)` by steps of 32 images, and returns the classifier."""
        stream = np.random.default_rng(self.seed)
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            self._model = self._network(images.shape[1:])
        x, y = self._as_input(images), torch.from_numpy(np.asarray(classes, np.int64))
        optimizer = torch.optim.AdamW(self._model.parameters(), weight_decay=1e-2)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _LEARNING_RATE, max(steps, 2))
        self._model.train()
        for _ in range(steps):
            rows = torch.from_numpy(stream.integers(0, len(x), BATCH))
            with mixed_precision(torch.device("cpu")):
                logits = self._model(self._augmented(x[rows], stream))
            loss = F.cross_entropy(logits.float(), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        self._model.eval()
        return self

    @torch.inference_mode()
    def assign(self, images: np.ndarray) -> np.ndarray:
        """The class of each image `(n, X, Y)`, int `(n,)`."""
        with mixed_precision(torch.device("cpu")):
            parts = [self._model(self._as_input(images[i : i + 64])).argmax(1) for i in range(0, len(images), 64)]
        return torch.cat(parts).numpy() if parts else np.zeros(0, int)

    def _as_input(self, images: np.ndarray) -> Tensor:
        x = indicators(torch.from_numpy(np.ascontiguousarray(images)), self.n_phases)
        return x.contiguous(memory_format=torch.channels_last)

    def _augmented(self, x: Tensor, stream: np.random.Generator) -> Tensor:
        """The images shifted where they are periodic, mirrored, and turned where that is no other class."""
        if self.periodic:
            x = x.roll(tuple(int(stream.integers(0, n)) for n in x.shape[2:]), (2, 3))
        for axis in (2, 3):
            x = x.flip(axis) if stream.random() < 0.5 else x
        if self.turned and x.shape[2] == x.shape[3] and stream.random() < 0.5:
            x = x.transpose(2, 3)
        return x.contiguous(memory_format=torch.channels_last)

    def _network(self, size: tuple[int, ...]) -> nn.Module:
        channels, edge = (1 if self.n_phases == 2 else self.n_phases), min(size)
        layers: list[nn.Module] = []
        padding: Literal["circular", "zeros"] = "circular" if self.periodic else "zeros"
        for before, after in zip((channels, *_WIDTHS), _WIDTHS, strict=False):
            convolution = nn.Conv2d(before, after, 3, padding=1, padding_mode=padding, bias=False)
            layers += [convolution, nn.BatchNorm2d(after), nn.ReLU()]
            if edge >= 2 * _SMALLEST_MAP:
                layers.append(nn.MaxPool2d(2))
                edge //= 2
        head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(_WIDTHS[-1], self.classes))
        return with_channels_last_weights(nn.Sequential(*layers, *head))
