"""Images of a data set by a running number through its shards, and values by that number put together to shards."""

from collections.abc import Iterator, Sequence

import numpy as np

from microdesign.microstructure.data.dataset import Dataset
from microdesign.physics.evaluators.protocol import Values, merge_values

_LAST: dict[str, np.ndarray] = {}
"""Images of the shard that this process read last, by its digest."""


class ShardImages:
    """The images of some shards by a running number; it reads a shard where it is asked, and keeps the last one."""

    def __init__(self, source: Dataset, shards: Sequence[int]) -> None:
        self.source, self.shards = source, list(shards)
        self.starts = np.cumsum([0, *(source.manifest.shards[number].rows for number in shards)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    def positions(self, indices: np.ndarray) -> np.ndarray:
        """Position of the shard of each image in the list of shards."""
        return np.searchsorted(self.starts, indices, side="right") - 1

    def read(self, position: int) -> np.ndarray:
        """The images of a shard, uint8 `(n, *shape)`."""
        shard = self.source.manifest.shards[self.shards[position]]
        # A worker process lives through many batches, most of them of the same shard.
        if shard.digest not in _LAST:
            labels = self.source.read_shard(self.shards[position]).labels
            _LAST.clear()
            _LAST[shard.digest] = labels
        return _LAST[shard.digest]

    def take(self, indices: np.ndarray) -> np.ndarray:
        """The images of these running numbers, which ascend, uint8 `(n, *shape)`."""
        positions = self.positions(indices)
        parts = [
            self.read(position)[indices[positions == position] - self.starts[position]]
            for position in np.unique(positions)
        ]
        return np.concatenate(parts)


class ShardValues:
    """Values of batches in any order, put together to those of whole shards."""

    def __init__(self, images: ShardImages) -> None:
        self._images = images
        self._sizes = np.diff(images.starts)
        self._parts: dict[int, list[tuple[np.ndarray, Values]]] = {}
        self._done: set[int] = set()

    def add(self, indices: np.ndarray, values: Values) -> Iterator[tuple[int, Values]]:
        """Takes the values of images by running number; yields shards that are whole now, by position."""
        positions = self._images.positions(indices)
        for position in np.unique(positions).tolist():
            mine = positions == position
            parts = self._parts.setdefault(position, [])
            rows = indices[mine] - self._images.starts[position]
            parts.append((rows, {name: array[mine] for name, array in values.items()}))
            if sum(len(rows) for rows, _ in parts) == self._sizes[position]:
                self._done.add(position)
                yield position, merge_values(self._parts.pop(position), int(self._sizes[position]))

    def unfinished(self) -> list[int]:
        """Positions of the shards that are not whole yet."""
        return [position for position in range(len(self._sizes)) if position not in self._done]

    def missing(self, position: int) -> np.ndarray:
        """Rows of a shard that have no values yet."""
        known = [rows for rows, _ in self._parts.get(position, [])]
        return np.setdiff1d(np.arange(self._sizes[position]), np.concatenate([np.array([], dtype=int), *known]))
