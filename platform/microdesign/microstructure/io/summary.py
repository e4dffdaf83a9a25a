"""What a file of images holds, as JSON values and as text."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import Microstructures


def summarise(batches: Iterable[Microstructures], units: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Summarises images in one pass, holding one batch at a time.

    Returns:
        `samples`, `shape`, `phases`, `classes` (counts), `volume_fraction` (per phase min, mean and max over the
        samples), `one_phase_images` (count) and `properties` (per name min, mean, max, missing, unit).

    Raises:
        InputError: There are no images, or reading them fails.
    """
    classes: Counter[str] = Counter()
    fractions: list[NDArray[np.float64]] = []
    properties: dict[str, list[NDArray[np.float64]]] = {}
    last: Microstructures | None = None
    for batch in batches:
        last = batch
        classes.update(batch.classes)
        flat = batch.labels.reshape(len(batch), -1)
        counts = [np.count_nonzero(flat == phase, axis=1) for phase in range(batch.n_phases)]
        fractions.append(np.stack(counts, axis=1) / flat.shape[1])
        for name, values in batch.properties.items():
            properties.setdefault(name, []).append(values)
    if last is None:
        raise InputError("there are no images to summarise; expected at least one.")
    shares = np.concatenate(fractions)
    return {
        "samples": len(shares),
        "shape": list(last.shape),
        "phases": last.n_phases,
        "periodic": last.periodic,
        "pixel_size": last.pixel_size,
        "classes": dict(classes),
        "volume_fraction": {str(phase): _spread(shares[:, phase]) for phase in range(last.n_phases)},
        "one_phase_images": int((shares.max(axis=1) == 1).sum()),
        "properties": {
            name: _spread(np.concatenate(parts)) | {"unit": (units or {}).get(name, "")}
            for name, parts in properties.items()
        },
    }


def hdf5_tree(path: str | Path) -> dict[str, Any]:
    """Returns the tree of an HDF5 file: `attributes` and `tree` with path, shape, dtype and attributes of each object.

    Raises:
        InputError: The file is missing, truncated or no HDF5 file.
    """
    entries: dict[str, Any] = {}

    def visit(name: str, item: Any) -> None:
        entry: dict[str, Any] = {}
        if isinstance(item, h5py.Dataset):
            string = h5py.check_string_dtype(item.dtype) is not None
            entry = {"shape": list(item.shape or ()), "dtype": "string" if string else str(item.dtype)}
        attributes = _attributes(item)
        entries[name] = entry | ({"attributes": attributes} if attributes else {})

    try:
        with h5py.File(path, "r") as file:
            file.visititems(visit)
            return {"attributes": _attributes(file), "tree": entries}
    except (OSError, RuntimeError) as error:
        raise InputError(f"{path}: is no HDF5 file, or truncated ({' '.join(str(error).split())}).") from None


def format_tree(description: Mapping[str, Any], indent: int = 0) -> str:
    """Returns a description as indented text, one value a line."""
    lines = []
    for key, value in description.items():
        lead = " " * indent + str(key)
        if isinstance(value, Mapping) and value:
            lines += [f"{lead}:", format_tree(value, indent + 2)]
            continue
        if isinstance(value, float):
            value = f"{value:.6g}"
        # Text of several lines (INSTRUCTIONS) stays aligned under its key.
        lines.append(f"{lead}: {str(value).replace(chr(10), chr(10) + ' ' * (indent + 2))}")
    return "\n".join(lines)


def _attributes(item: Any) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in item.attrs:
        value = item.attrs[name]
        if isinstance(value, bytes):
            value = value.decode("utf-8", errors="replace")
        elif isinstance(value, np.ndarray | np.generic):
            value = value.tolist()
        values[name] = value if isinstance(value, str | int | float | bool | list) else str(value)
    return values


def _spread(values: NDArray[np.float64]) -> dict[str, Any]:
    known = values[~np.isnan(values)]
    if not len(known):
        return {"min": None, "mean": None, "max": None, "missing": len(values)}
    return {
        "min": float(known.min()),
        "mean": float(known.mean()),
        "max": float(known.max()),
        "missing": len(values) - len(known),
    }
