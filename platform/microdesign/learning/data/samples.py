"""The samples that one of several training workers holds: images packed as on disk, their properties, their places."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import Microstructures, is_known, property_table
from microdesign.microstructure.data.dataset import Dataset
from microdesign.microstructure.data.manifest import SplitName
from microdesign.microstructure.data.places import overlap
from microdesign.microstructure.data.shards import pack
from microdesign.microstructure.data.sizes import with_unit
from microdesign.model.networks.config import NetworkConfig


@dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """A worker's share of the training images.

    Attributes:
        packed: The n images as `pack` makes them: rows of bits for two phases, else of bytes.
        shape: Pixels along each axis.
        n_phases: Number of phases P.
        periodic: Whether the images are periodic.
        properties: Property name to values `(n,)`, NaN where they are not known.
        positions: Place of each sample in the data set, `(n,)`.
        total: Number of samples of all workers together.
    """

    packed: NDArray[np.uint8]
    shape: tuple[int, ...]
    n_phases: int
    periodic: bool
    properties: Mapping[str, NDArray[np.float64]]
    positions: NDArray[np.int64]
    total: int

    def __len__(self) -> int:
        return len(self.packed)

    @classmethod
    def of(cls, data: Microstructures, rank: int = 0, world: int = 1) -> "Samples":
        """Takes every world-th image of a batch in memory, from image `rank` on."""
        mine = slice(rank, None, world)
        return cls(
            packed=pack(data.labels[mine], data.n_phases),
            shape=data.shape,
            n_phases=data.n_phases,
            periodic=data.periodic,
            properties={name: values[mine] for name, values in data.properties.items()},
            positions=np.arange(len(data))[mine],
            total=len(data),
        )

    @classmethod
    def read(cls, dataset: Dataset, positions: NDArray[np.int64], rank: int = 0, world: int = 1) -> "Samples":
        """Reads every world-th of the samples at `positions`, from the rank-th on: N workers hold each sample once.

        Memory: the packed images of this worker, and one shard at a time.

        Args:
            dataset: The data set.
            positions: Sorted places in the data set of the samples of all workers.
            rank: This worker.
            world: Number of workers.

        Raises:
            InputError: A shard is damaged.
        """
        mine = positions[rank::world]
        manifest = dataset.manifest
        packed, properties, start = [], [], 0
        for batch in dataset.chunks():
            inside = mine[(mine >= start) & (mine < start + len(batch))] - start
            packed.append(pack(batch.labels[inside], manifest.n_phases))
            properties.append([batch.properties[name][inside] for name in manifest.properties])
            start += len(batch)
        columns = (np.concatenate(parts) for parts in zip(*properties, strict=True))
        return cls(
            packed=np.concatenate(packed),
            shape=manifest.shape,
            n_phases=manifest.n_phases,
            periodic=manifest.periodic,
            properties=dict(zip(manifest.properties, columns, strict=True)),
            positions=mine,
            total=len(positions),
        )


def usable(dataset: Dataset, split: SplitName, names: Sequence[str], unlabelled: bool = False) -> NDArray[np.int64]:
    """Returns the places of a split's samples that can be learned from, sorted, without reading an image.

    Args:
        dataset: The data set.
        split: Which part of it.
        names: Properties that have to be known.
        unlabelled: Whether samples without them count too; some sample has to have them all the same.

    Raises:
        InputError: The data set lacks a property, or no sample has them all.
    """
    inside = dataset.split()[split]
    table = property_table(dataset.property_columns(), names, len(dataset))[inside]
    known_values = is_known(table, names)
    known = known_values.all(1)
    if not known.any():
        raise InputError(
            _none_known(table, known_values, split, names)
            if len(inside) and names
            else f"{dataset.folder}: the split '{split}' holds no samples; use a larger share or more samples."
        )
    return inside if unlabelled else inside[known]


def _none_known(table: NDArray, known: NDArray[np.bool_], split: SplitName, names: Sequence[str]) -> str:
    """Says that no sample has all the properties, and what to do, which is another thing where pores cut the solids."""
    never = [name for name, column in zip(names, known.T, strict=True) if not column.any()]
    leave_out = f", or leave out {', '.join(never)}" if never else ""
    finite = np.isfinite(table).all(1)
    if finite.any():
        zero = [name for name, column in zip(names, (~known[finite]).T, strict=True) if column.any()]
        return (
            f"No sample of the {split} split has values of {', '.join(names)} that a model can learn: "
            f"{', '.join(zero)} "
            "is 0, which has no logarithm, where the solid does not hang together; take images of solids that do, or "
            f"more of them{leave_out}."
        )
    return (
        f"No sample of the {split} split has finite values of {', '.join(names)}; label the data set again{leave_out}."
    )


def left_out(dataset: Dataset, names: Sequence[str], unlabelled: bool = False) -> str:
    """Returns a sentence on the training images that lack a property, and why; empty if none does.

    Args:
        dataset: The data set.
        names: Properties that a model learns.
        unlabelled: Whether images without them are used all the same.
    """
    table = property_table(dataset.property_columns(), names, len(dataset))[dataset.split()["train"]]
    known = is_known(table, names)
    lacking = int((~known.all(1)).sum())
    if not lacking:
        return ""
    missing, zero = np.isnan(table).sum(0), (np.isfinite(table) & ~known).sum(0)
    parts = [f"{name} is not known of {count}" for name, count in zip(names, missing, strict=True) if count]
    parts += [f"{name} is not above 0 in {count}" for name, count in zip(names, zero, strict=True) if count]
    learned = " (models learn its logarithm)" if zero.any() else ""
    done = "train without their properties" if unlabelled else "are left out"
    return f"{lacking} of {len(table)} training images {done}: {', '.join(parts)}{learned}"


def check_images(shape: Sequence[int], n_phases: int, network: NetworkConfig) -> None:
    """Checks that a model can learn from a data set's images.

    Raises:
        InputError: It cannot, and why.
    """
    if n_phases < 2:
        raise InputError(
            f"Training needs images of two phases or more; the data set has shape {tuple(shape)}, {n_phases} phases."
        )
    size = shape[0] if len(set(shape)) == 1 else tuple(shape)
    needed = {"size": size, "dimensions": len(shape), "phases": n_phases}
    change = {name: value for name, value in needed.items() if value != getattr(network, name)}
    if change:
        raise InputError(
            f"The data set's images have {with_unit(shape)} in {n_phases} phases, the model takes "
            f"{with_unit(network.shape)} in {network.phases}; "
            f"set {', '.join(f'loop.model.network.{name} to {_in_yaml(value)}' for name, value in change.items())}."
        )


def _in_yaml(value: int | tuple[int, ...]) -> str:
    return str(value) if isinstance(value, int) else f"[{', '.join(map(str, value))}]"


def check_varied(dataset: Dataset) -> None:
    """Checks that some image has more than one phase; reading the first shard is normally enough.

    Raises:
        InputError: None has.
    """
    for batch in dataset.chunks():
        flat = batch.labels.reshape(len(batch), -1)
        if (flat != flat[:, :1]).any():
            return
    raise InputError(f"Each of the {len(dataset)} images is of one phase alone; expected images of two.")


def check_apart(dataset: Dataset) -> None:
    """Checks that no validation or test window overlaps a training window of the same image.

    Raises:
        InputError: One does, so that errors on it would say nothing about other images.
    """
    found = overlap(dataset.places, dataset.split())
    if found is None:
        return
    place = found["example"]
    raise InputError(
        f"{dataset.folder}: {found['windows']} of {found['of']} validation and test windows overlap training windows "
        f"of the same image, such as the one at {list(place.corner)} of {place.source}, so that their errors would be "
        "those of images that the model was trained on; cut the windows again with a split by region, or with a stride "
        f"of {max(place.extent)} or more."
    )


def check_held_out(dataset: Dataset, split: SplitName, names: Sequence[str]) -> None:
    """Checks, before hours are spent on training, that there is something to evaluate on.

    Raises:
        InputError: The split holds fewer than two samples with known properties.
    """
    n = len(usable(dataset, split, names))
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
