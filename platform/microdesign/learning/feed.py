"""Training batches: each worker's own part of a data set, augmented on the device.

Shapes: N samples, B batch, X Y image, P properties. Periodic images may be shifted freely; flips change none of the
seven constants; a 90-degree turn swaps Ex/Ey, vxy/vyx and kx/ky.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from microdesign.errors import InputError
from microdesign.microstructure.container import Microstructures
from microdesign.microstructure.dataset import Dataset
from microdesign.microstructure.manifest import SplitName
from microdesign.model.standardization import Standardization

TURNED = {"Ex": "Ey", "Ey": "Ex", "vxy": "vyx", "vyx": "vxy", "kx": "ky", "ky": "kx"}
"""Property after a 90-degree turn, for those that change."""


def property_table(data: Microstructures, names: Sequence[str]) -> np.ndarray:
    """Returns the properties `(N, P)` of the named columns.

    Raises:
        InputError: The data set lacks a property.
    """
    missing = [name for name in names if name not in data.properties]
    if missing:
        known = ", ".join(data.properties) or "none: label it first"
        raise InputError(f"The data set has no property '{missing[0]}'; it has {known}.")
    return np.stack([data.properties[name] for name in names], axis=1)


def with_known(data: Microstructures, names: Sequence[str]) -> Microstructures:
    """Leaves out the samples of which a property is not known (NaN: physics could not answer for them).

    Raises:
        InputError: The data set lacks a property, or no sample is left.
    """
    known = np.isfinite(property_table(data, names)).all(1)
    if not known.any():
        raise InputError(f"No sample has finite values of {', '.join(names)}; label the data set again.")
    return data if known.all() else data.select(known)


def check_images(shape: Sequence[int], n_phases: int, size: int) -> None:
    """Checks that a model of `size` x `size` pixels can learn from a data set's images.

    Raises:
        InputError: It cannot; says why.
    """
    if n_phases != 2 or len(shape) != 2 or shape[0] != shape[1]:
        raise InputError(
            f"Training needs square two-phase images; the data set has shape {tuple(shape)}, {n_phases} phases."
        )
    if shape[0] != size:
        raise InputError(
            f"The data set's images have {shape[0]} x {shape[1]} pixels, the model takes {size} x {size}; "
            f"set loop.model.network.size to {shape[0]}."
        )


def check_held_out(dataset: Dataset, split: SplitName, names: Sequence[str]) -> None:
    """Checks, before hours are spent on training, that there is something to evaluate on.

    Raises:
        InputError: The split holds fewer than two samples with known properties.
    """
    n = len(with_known(dataset.load(split), names))
    if n < 2:
        raise InputError(f"The data set's {split} split holds {n} usable sample; expected at least 2 to evaluate on.")


def steps_per_epoch(images: int, batch_size: int, world: int) -> int:
    """The number of whole batches that each of `world` workers makes of its part.

    Raises:
        InputError: There is not one.
    """
    steps = images // (world * batch_size)
    if not steps:
        raise InputError(
            f"{images} training images are less than one batch of {batch_size} for each of {world} workers; "
            "use a smaller batch_size or more images."
        )
    return steps


def fit_standardization(data: Microstructures, names: Sequence[str], units: Mapping[str, str]) -> Standardization:
    """Fits the standardisation to the labels as training sees them: the images' own, and those of the turned images.

    Raises:
        InputError: The data set lacks a property, or one has bad values or does not vary; or no image has two phases.
    """
    flat = data.labels.reshape(len(data), -1)
    if not (flat != flat[:, :1]).any():
        raise InputError(f"Each of the {len(data)} training images is of one phase alone; expected images of two.")
    values = [property_table(data, names)]
    if _can_turn(data, names):
        values.append(property_table(data, _partners(names)))
    return Standardization.fit(np.concatenate(values), tuple(names), tuple(units.get(name, "") for name in names))


def _partners(names: Sequence[str]) -> list[str]:
    return [TURNED.get(name, name) for name in names]


def _can_turn(data: Microstructures, names: Sequence[str]) -> bool:
    """Whether the labels of turned images are known: a turn may need a property that the model does not have."""
    return data.periodic and all(name in data.properties for name in _partners(names))


class Feed:
    """Seeded batches of `(indicator (B, 1, X, Y), standardised properties (B, P))` for one worker of `world`.

    Epoch e of seed s draws the same global permutation on every worker; worker r takes every world-th sample of it. The
    augmentation of a worker's epoch is seeded by (seed, epoch, rank), so a resumed run draws what the first would have.

    Raises:
        InputError: The images are not two-phase or not square, a property is missing, or a worker's part is
            less than a batch.
    """

    def __init__(
        self,
        data: Microstructures,
        standardization: Standardization,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
        device: torch.device | None = None,
    ) -> None:
        check_images(data.shape, data.n_phases, data.shape[0])
        self.steps = steps_per_epoch(len(data), batch_size, world)
        names = standardization.names
        self.batch_size, self.seed, self.rank, self.world = batch_size, seed, rank, world
        self.labels = torch.from_numpy(data.labels).to(device)
        self.properties = torch.from_numpy(standardization.forward(property_table(data, names))).float().to(device)
        self.can_turn = _can_turn(data, names)
        turned = property_table(data, _partners(names) if self.can_turn else names)
        self.turned = torch.from_numpy(standardization.forward(turned)).float().to(device)
        self.periodic = data.periodic

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields the worker's batches of an epoch."""
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.labels))
        stream = np.random.default_rng([self.seed, epoch, self.rank, 1])
        mine = torch.from_numpy(order[self.rank :: self.world])
        for step in range(self.steps):
            index = mine[step * self.batch_size : (step + 1) * self.batch_size].to(self.labels.device)
            yield self._augmented(index, stream)

    def _augmented(self, index: Tensor, stream: np.random.Generator) -> tuple[Tensor, Tensor]:
        # One draw per batch: the batch stays one tensor operation, and every sample sees all draws over the epochs.
        x, turn = self.labels[index], self.can_turn and bool(stream.integers(2))
        if self.periodic:
            x = torch.roll(x, tuple(stream.integers(x.shape[-1], size=2).tolist()), dims=(1, 2))
        for axis in (1, 2):
            if stream.integers(2):
                x = x.flip(axis)
        if turn:
            x = x.transpose(1, 2)
        x = x[:, None].float().contiguous(memory_format=torch.channels_last)
        return x, (self.turned if turn else self.properties)[index]
