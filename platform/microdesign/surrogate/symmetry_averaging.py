"""Predictions averaged over the symmetries of the grid: effective properties turn with the image.

A network that sees turned images in training still answers each turn a little differently; the mean over them is nearer
to the truth, also on decodes if the replayed decodes of training were turned. Costs a pass for each symmetry, 8 for
square images. A model of a material with a direction, trained without turns, is not averaged over them.
"""

import numpy as np
import torch

from microdesign.model.symmetry import symmetries
from microdesign.surrogate.protocol import Surrogate
from microdesign.surrogate.wrapped import WrappedSurrogate


class SymmetryAveraged(WrappedSurrogate):
    """A surrogate whose predictions are another's, averaged over the turns and flips known for all its properties.

    Args:
        surrogate: The other one. Only symmetries that its training images went through count; see `Description`.
    """

    def __init__(self, surrogate: Surrogate) -> None:
        super().__init__(surrogate)
        described = surrogate.describe()
        self._turns, self._flips = bool(described.get("turns", True)), bool(described.get("flips", True))
        self._aspect = tuple(described.get("aspect", ()))

    def predict(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Surrogate.predict`; standard deviations are those of the images as they stand."""
        names, images = self.properties, torch.from_numpy(np.array(labels))
        means, stds = [], []
        for symmetry in symmetries(images.shape[1:], names, names, self._aspect):
            if not symmetry.is_among(self._turns, self._flips):
                continue
            mean, std = self._surrogate.predict(symmetry.turned(images).numpy())
            # Column i is that of the turned image: of the image itself it is the property that it was before.
            of_image = np.empty_like(mean)
            of_image[:, [names.index(source) for source in symmetry.sources]] = mean * np.array(symmetry.signs)
            means.append(of_image)
            stds.append(std)
        return np.mean(means, axis=0), stds[0]
