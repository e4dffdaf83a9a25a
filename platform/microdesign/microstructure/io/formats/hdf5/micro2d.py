"""MICRO2D's HDF5 layout (Robertson et al. 2024, doi 10.1007/s40192-023-00340-4): written in batches, read in chunks.

One group per class; in it the images `f[cls][cls]`, how each was made `f[cls]["<cls> - labels"]`, and per sample and
pair of materials `homogenized_mechanical` `(N, M, 5)` and `homogenized_thermal` `(N, M, 2)`, each with an attribute
INSTRUCTIONS that states what each index is. Of windows `f[cls]["<cls> - places"]` tells where each lies, in JSON.
"""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from microdesign.core.errors import InputError
from microdesign.core.files import replacing
from microdesign.core.units import known_length_unit, pixel_fields
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.label_arrays import as_labels, chunk_length
from microdesign.microstructure.data.places import Place, places_as_texts, places_of_texts
from microdesign.microstructure.io.formats.hdf5.append import Hdf5Sink
from microdesign.microstructure.io.formats.hdf5.opened import open_hdf5, read_stored, refusing_damage
from microdesign.microstructure.io.protocol import FIELDS, Writer

MECHANICAL = ("Ex", "vxy", "Ey", "vyx", "Gxy")
THERMAL = ("kx", "ky")
PROPERTY_DATASETS = {"homogenized_mechanical": MECHANICAL, "homogenized_thermal": THERMAL}
UNNAMED_CLASS = "unnamed"


def property_name(name: str, pair: int, pairs: int) -> str:
    """Returns the name of a property of pair `pair` of `pairs`: `Ex` with one pair, else `Ex.0`, `Ex.1`, ..."""
    return name if pairs == 1 else f"{name}.{pair}"


def write_micro2d(path: str | Path, batches: Iterable[Microstructures], materials: Sequence[str] = ()) -> None:
    """Writes batches as they come, grouped by class; the file is complete or absent.

    Args:
        path: The HDF5 file.
        batches: Microstructures of one shape. Of their properties the seven of MICRO2D are written, named as by
            `property_name`; missing ones become NaN, others are left out.
        materials: One line of text per pair of materials, for INSTRUCTIONS.

    Raises:
        InputError: There is no batch, or the batches differ in shape, phases or properties.
        StorageError: The file cannot be written.
    """
    with replacing(path) as temporary, Hdf5Sink(temporary) as sink:
        try:
            with h5py.File(sink, "w") as file:
                for name, batch in _by_class(path, batches):
                    _append_class(file, name, batch, materials)
                    sink.check()
        except (OSError, RuntimeError):
            # What HDF5 stumbles over after a failed write is not the cause.
            sink.check()
            raise
        sink.check()


def _by_class(path: str | Path, batches: Iterable[Microstructures]) -> Iterator[tuple[str, Microstructures]]:
    first: Microstructures | None = None
    for batch in batches:
        first = first or batch
        expected, given = _layout(first), _layout(batch)
        if given != expected:
            raise InputError(f"{path}: a batch has shape, phases, properties, pixel size {given}; expected {expected}.")
        classes = np.array([name or UNNAMED_CLASS for name in batch.classes])
        for name in dict.fromkeys(classes.tolist()):
            if "/" in name:
                raise InputError(f"{path}: class '{name}' holds a '/'; expected a plain name.")
            yield name, batch.select(classes == name)
    if first is None:
        raise InputError(f"{path}: got no images to write; expected at least one batch.")


def read_micro2d(
    path: str | Path,
    classes: Sequence[str] | None = None,
    chunk: int | None = None,
    pair: int | None = None,
    n_phases: int | None = None,
) -> Iterator[Microstructures]:
    """Yields the images class by class in chunks, with bounded memory whatever the file's integer type.

    Args:
        path: The HDF5 file.
        classes: Classes to read, in order; None takes all.
        chunk: Largest number of images at once; None takes what fits into 64 MiB as stored.
        pair: Read the properties of this pair of materials only, under their bare names (`Ex`); None reads all pairs,
            named as by `property_name`. What each pair is, `instructions` tells.
        n_phases: Number of phases; None takes the attribute `n_phases` of the images, else two.

    Raises:
        InputError: The file is missing, damaged or no HDF5 file, a class or data set is missing, a group is empty, a
            shape is wrong, or a label is not valid.
    """
    with open_hdf5(path) as file:
        known = _class_names(file, path)
        for name in known if classes is None else classes:
            if name not in known:
                raise InputError(f"{path}: has no class '{name}'; expected one of: {', '.join(known)}.")
            with refusing_damage(f"{path}: class '{name}'"):
                yield from _read_class(file[name], name, str(path), chunk, pair, n_phases)


class Micro2DWriter(Writer):
    """Writes HDF5 in MICRO2D's layout: a group per class, the seven properties of the plane."""

    suffixes = (".h5", ".hdf5")
    stores = FIELDS

    def write(self, path: Path, images: Iterable[Microstructures]) -> Path:
        """Writes one file, the images grouped by class; see `write_micro2d`."""
        write_micro2d(path, images)
        return path

    def left_out(self, batch: Microstructures) -> set[str]:
        """Adds the properties that are none of the seven."""
        seven = {key for names in PROPERTY_DATASETS.values() for key in names}
        others = {f"properties.{name}" for name in batch.properties if name.split(".")[0] not in seven}
        return super().left_out(batch) | others


def list_classes(path: str | Path) -> dict[str, int]:
    """Returns the classes and their numbers of images.

    Raises:
        InputError: The file is missing, damaged or no HDF5 file, a data set is missing or a group is empty.
    """
    with open_hdf5(path) as file:
        return {name: len(_images(file[name], name, str(path))) for name in _class_names(file, path)}


def instructions(path: str | Path) -> dict[str, str]:
    """Returns the INSTRUCTIONS of each property data set, by its path in the file (`GRF/homogenized_thermal`).

    Raises:
        InputError: The file is missing, damaged or no HDF5 file.
    """
    with open_hdf5(path) as file:
        return {
            f"{name}/{key}": _text(file[name][key].attrs.get("INSTRUCTIONS", ""))
            for name in _class_names(file, path)
            for key in PROPERTY_DATASETS
            if key in file[name]
        }


def _class_names(file: Any, path: str | Path) -> list[str]:
    names = [name for name in file if isinstance(file.get(name), h5py.Group)]
    if not names:
        raise InputError(f"{path}: holds no groups; expected one group per class, as in MICRO2D.")
    return names


def _images(group: Any, name: str, path: str) -> Any:
    if not len(group):
        raise InputError(f"{path}: the group '{name}' is empty; expected the images in '{name}/{name}'.")
    if not isinstance(group.get(name), h5py.Dataset):
        found = ", ".join(group)
        raise InputError(
            f"{path}: the data set '{name}/{name}' is missing (found: {found}); expected the images in it."
        )
    images = group[name]
    if images.ndim not in (3, 4) or 0 in images.shape:
        raise InputError(f"{path}: '{name}/{name}' has shape {images.shape}; expected (N, X, Y) with N >= 1.")
    return images


def _read_class(
    group: Any, name: str, path: str, chunk: int | None, pair: int | None, n_phases: int | None
) -> Iterator[Microstructures]:
    images = _images(group, name, path)
    n = len(images)
    n_phases = n_phases or int(images.attrs.get("n_phases", 2))
    edges = np.atleast_1d(images.attrs.get("pixel_size", 1.0)).astype(float).tolist()
    pixels = pixel_fields(edges, known_length_unit(images.attrs.get("length_unit", "")))
    texts = {key: group.get(f"{name} - {key}") for key in ("labels", "places")}
    for key, column in texts.items():
        if column is not None and column.shape != (n,):
            raise InputError(f"{path}: '{name}/{name} - {key}' has shape {column.shape}; expected ({n},).")
    made, places = texts["labels"], texts["places"]
    tables = {}
    for key, names in PROPERTY_DATASETS.items():
        if key not in group:
            continue
        table = group[key]
        if table.ndim != 3 or table.shape[0] != n or table.shape[2] != len(names):
            raise InputError(
                f"{path}: '{name}/{key}' has shape {table.shape}; expected ({n}, pairs of materials, {len(names)})."
            )
        if pair is not None and not 0 <= pair < table.shape[1]:
            raise InputError(f"{path}: '{name}/{key}' has no pair {pair}; expected 0 to {table.shape[1] - 1}.")
        tables[key] = table
    length = chunk_length(math.prod(images.shape[1:]) * images.dtype.itemsize, chunk, f"{path}: '{name}/{name}'")
    for start in range(0, n, length):
        rows = slice(start, min(start + length, n))
        stored = read_stored(images, f"{path}: '{name}/{name}'", rows)
        labels = as_labels(stored, f"{path}: '{name}/{name}' from image {start} on")
        properties: dict[str, NDArray[np.float64]] = {}
        for key, table in tables.items():
            source = f"{path}: '{name}/{key}'"
            values = read_stored(table, source, rows).astype(np.float64, copy=False)
            order = _order(_text(table.attrs.get("INSTRUCTIONS", "")), PROPERTY_DATASETS[key])
            properties |= _columns(values, order, pair)
        try:
            yield Microstructures(
                labels=labels,
                n_phases=n_phases,
                classes=(name,) * len(labels),
                generation=()
                if made is None
                else tuple(_text(value) for value in read_stored(made, f"{path}: '{name} - labels'", rows)),
                properties=properties,
                places=() if places is None else _places(places, rows, f"{path}: '{name}/{name} - places'"),
                periodic=bool(images.attrs.get("periodic", True)),
                **pixels,
            )
        except InputError as error:
            raise InputError(f"{path}: '{name}/{name}' from image {start} on: {error}") from None


def _places(column: Any, rows: slice, source: str) -> tuple[Place | None, ...]:
    return places_of_texts(map(_text, read_stored(column, source, rows)), source)


def _columns(values: NDArray[np.float64], order: tuple[str, ...], pair: int | None) -> dict[str, NDArray[np.float64]]:
    pairs = range(values.shape[1]) if pair is None else [pair]
    count = len(pairs)
    return {property_name(name, p, count): values[:, p, i].copy() for p in pairs for i, name in enumerate(order)}


def _order(text: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the names by index as INSTRUCTIONS has them (`0: Ex, ...` or `[Ex, vxy, ...]`), else the documented."""
    numbered = {int(i): name for i, name in re.findall(r"(\d+)\s*[:=]\s*(\w+)", text) if name in names}
    if sorted(numbered) == list(range(len(names))) and set(numbered.values()) == set(names):
        return tuple(numbered[i] for i in range(len(names)))
    for inside in re.findall(r"[\[(]([^\[\]()]*)[\])]", text):
        listed = tuple(re.findall(r"\w+", inside))
        if len(listed) == len(names) and set(listed) == set(names):
            return listed
    return names


def _layout(batch: Microstructures) -> tuple[Any, ...]:
    return batch.shape, batch.n_phases, tuple(sorted(batch.properties)), batch.physical


def _append_class(file: Any, name: str, batch: Microstructures, materials: Sequence[str]) -> None:
    group = file.require_group(name)
    images = _append(group, name, batch.labels, chunk=16)
    images.attrs["n_phases"] = batch.n_phases
    if not batch.periodic:
        images.attrs["periodic"] = False
    if batch.pixel_size != 1 or batch.aspect or batch.length_unit:
        images.attrs["pixel_size"] = batch.spacing if batch.aspect else batch.pixel_size
        images.attrs["length_unit"] = batch.length_unit
    texts = np.array(batch.generation, dtype=object)
    _append(group, f"{name} - labels", texts, chunk=256, dtype=h5py.string_dtype())
    _append_places(group, f"{name} - places", batch, before=len(images) - len(batch))
    for key, names in PROPERTY_DATASETS.items():
        pairs = _pairs(batch, names)
        if not pairs:
            continue
        nan = np.full(len(batch), np.nan)
        values = [[batch.properties.get(property_name(n, p, pairs), nan) for n in names] for p in range(pairs)]
        table = _append(group, key, np.moveaxis(np.array(values), -1, 0), chunk=256)
        table.attrs["INSTRUCTIONS"] = _write_instructions(names, pairs, materials)


def _append_places(group: Any, key: str, batch: Microstructures, before: int) -> None:
    """Appends the places of windows; the first ones come after as many empty texts as there are images before them."""
    if key not in group and not any(batch.places):
        return
    texts = [*([] if key in group else [""] * before), *places_as_texts(batch.places)]
    _append(group, key, np.array(texts, dtype=object), chunk=256, dtype=h5py.string_dtype())


def _append(group: Any, name: str, values: NDArray, chunk: int, dtype: Any = None) -> Any:
    if name not in group:
        return group.create_dataset(
            name,
            data=values,
            dtype=dtype,
            maxshape=(None, *values.shape[1:]),
            chunks=(chunk, *values.shape[1:]),
            compression="gzip",
        )
    table = group[name]
    table.resize(len(table) + len(values), axis=0)
    table[-len(values) :] = values
    return table


def _pairs(batch: Microstructures, names: tuple[str, ...]) -> int:
    if any(name in batch.properties for name in names):
        return 1
    pattern = re.compile(rf"(?:{'|'.join(names)})\.(\d+)")
    found = [int(match[1]) for match in map(pattern.fullmatch, batch.properties) if match]
    return max(found) + 1 if found else 0


def _write_instructions(names: tuple[str, ...], pairs: int, materials: Sequence[str]) -> str:
    lines = [
        "Axis 0: the sample, as in the images. Axis 1: the pair of materials. Axis 2: the property: "
        + ", ".join(f"{i}: {name}" for i, name in enumerate(names))
        + ".",
        "x is image axis 0, y is image axis 1; NaN marks a value that is not known. Pairs of materials:",
    ]
    texts = [materials[p] if p < len(materials) else "not stated" for p in range(pairs)]
    return "\n".join([*lines, *(f"pair {p} - {text}" for p, text in enumerate(texts))])


def _text(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return ", ".join(_text(item) for item in value.ravel())
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)
