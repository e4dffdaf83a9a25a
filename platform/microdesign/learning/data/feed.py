"""Training batches: one worker's samples, decoded and augmented on its device.

Shapes: n samples of the worker, B batch, C phase channels, `*N` two or three spatial axes, P properties. Periodic
images are shifted freely; turns and flips turn the properties too (see `symmetry`), as far as the `augmentation` goes.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from microdesign.learning.data.augmentation import ALL, Augmentation
from microdesign.learning.data.samples import Samples, steps_per_epoch
from microdesign.microstructure.data.container import is_known, property_table
from microdesign.microstructure.data.indicators import indicators
from microdesign.model.standardization import Standardization
from microdesign.model.symmetry import Symmetry

_SHARE_OF_DEVICE = 0.25
"""Of a GPU's free memory, what packed images may take; more stay in the host's memory and are sent a batch ahead."""


def fit_standardization(
    properties: Mapping[str, NDArray[np.float64]],
    shape: Sequence[int],
    names: Sequence[str],
    units: Mapping[str, str],
    augmentation: Augmentation = ALL,
) -> Standardization:
    """Fits the standardisation to the labels as training sees them: the images' own, and those of the turned images.

    Args:
        properties: Property name to values of the training samples, NaN where they are not known.
        shape: Pixels along each axis.
        names: What to standardise.
        units: Unit of each property.
        augmentation: Turns and flips of the training.

    Raises:
        InputError: A property has values that cannot be standardised, or does not vary.
    """
    if not names:
        return Standardization(names=(), units=(), offsets=(), scales=())
    n = len(next(iter(properties.values()), ()))
    tables = [_columns(properties, n, *kind) for kind in _kinds(augmentation.symmetries(shape, names, properties))]
    values = np.concatenate(tables)
    known = is_known(values, names).all(1)
    return Standardization.fit(values[known], tuple(names), tuple(units.get(name, "") for name in names))


class Feed:
    """Seeded batches of `(indicators (B, C, *N), standardised properties (B, P))` for one worker of `world`.

    A worker shuffles its own samples; a batch is turned, flipped and shifted as one, as far as `augmentation`
    goes. What it draws for a step depends on (seed, epoch, rank, step) alone, so a resumed run draws what the first
    would have. A property that is not known stays NaN.

    Attributes:
        steps: Batches in an epoch, the same for all workers.
        standardization: Of the properties.

    Raises:
        InputError: The data set lacks a property, or a worker's part is less than a batch.
    """

    def __init__(
        self,
        samples: Samples,
        standardization: Standardization,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
        device: torch.device | None = None,
        augmentation: Augmentation = ALL,
    ) -> None:
        names, self.standardization = standardization.names, standardization
        self.steps = steps_per_epoch(samples.total, batch_size, world)
        self.batch_size, self.seed, self.rank, self.world = batch_size, seed, rank, world
        self.samples, self.device = samples, device or torch.device("cpu")
        self.periodic = samples.periodic and augmentation.shifts
        self.symmetries = augmentation.symmetries(samples.shape, names, samples.properties)
        kinds = _kinds(self.symmetries)
        self._kind_of = [kinds.index((each.sources, each.signs)) for each in self.symmetries]
        tables = [standardization.forward(_columns(samples.properties, len(samples), *kind)) for kind in kinds]
        self.tables = [torch.from_numpy(table).float().to(self.device) for table in tables]
        packed = torch.from_numpy(samples.packed)
        self.resident = _fits(packed, self.device)
        self._packed = packed.to(self.device) if self.resident else packed.pin_memory()
        self._masks = torch.tensor([128 >> bit for bit in range(8)], dtype=torch.uint8, device=self.device)

    def epoch(self, epoch: int, first: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields the worker's batches of an epoch, from step `first` on."""
        order = self._order(epoch)
        places = order.to(self.device, non_blocking=True)

        def rows(step: int) -> Tensor:
            here = slice(step * self.batch_size, (step + 1) * self.batch_size)
            if self.resident:
                return self._packed[places[here]]
            return self._packed[order[here]].pin_memory().to(self.device, non_blocking=True)

        steps = range(first, self.steps)
        for step, packed in zip(steps, map(rows, steps) if self.resident else _ahead(rows, steps), strict=True):
            index = places[step * self.batch_size : (step + 1) * self.batch_size]
            yield self._augmented(packed, index, np.random.default_rng([self.seed, epoch, self.rank, step]))

    def positions(self, epoch: int, step: int) -> NDArray[np.int64]:
        """Returns the places in the data set of the samples of a batch, `(B,)`."""
        order = self._order(epoch).numpy()
        return self.samples.positions[order[step * self.batch_size : (step + 1) * self.batch_size]]

    def _order(self, epoch: int) -> Tensor:
        stream = np.random.default_rng([self.seed, epoch, self.rank])
        return torch.from_numpy(stream.permutation(len(self.samples)))

    def _augmented(self, packed: Tensor, index: Tensor, stream: np.random.Generator) -> tuple[Tensor, Tensor]:
        # One draw per batch: the batch stays one tensor operation, and every sample sees all draws over the epochs.
        drawn = int(stream.integers(len(self.symmetries)))
        symmetry = self.symmetries[drawn]
        labels = self._decoded(packed)
        axes = tuple(range(1, labels.ndim))
        if self.periodic:
            labels = torch.roll(labels, tuple(stream.integers(self.samples.shape).tolist()), dims=axes)
        labels = symmetry.turned(labels)
        layout = torch.channels_last if len(axes) == 2 else torch.channels_last_3d
        x = indicators(labels, self.samples.n_phases).contiguous(memory_format=layout)
        return x, self.tables[self._kind_of[drawn]][index]

    def _decoded(self, packed: Tensor) -> Tensor:
        """Unpacks rows of bits or bytes to labels `(B, *N)`, uint8."""
        if self.samples.n_phases <= 2:
            bits = packed[..., None].bitwise_and(self._masks).ne(0)
            packed = bits.flatten(1)[:, : int(np.prod(self.samples.shape))].view(torch.uint8)
        return packed.view(len(packed), *self.samples.shape)


def _kinds(of: Sequence[Symmetry]) -> list[tuple[tuple[str, ...], tuple[int, ...]]]:
    """The different (sources, signs): few, for most symmetries change no property."""
    return list(dict.fromkeys((each.sources, each.signs) for each in of))


def _columns(
    properties: Mapping[str, NDArray[np.float64]], n: int, sources: Sequence[str], signs: Sequence[int]
) -> NDArray[np.float64]:
    values = property_table(properties, sources, n) * np.array(signs, float)
    return np.where(is_known(values, sources), values, np.nan)


def _fits(packed: Tensor, device: torch.device) -> bool:
    return device.type != "cuda" or packed.nbytes < _SHARE_OF_DEVICE * torch.cuda.mem_get_info(device)[0]


def _ahead(function: Callable[[int], Tensor], steps: range) -> Iterator[Tensor]:
    """Yields `function(step)` of each step; the next one is under way in a thread while one is used."""
    with ThreadPoolExecutor(1) as pool:
        futures: deque[Future[Tensor]] = deque()
        for step in steps:
            futures.append(pool.submit(function, step))
            if len(futures) > 1:
                yield futures.popleft().result()
        for future in futures:
            yield future.result()
