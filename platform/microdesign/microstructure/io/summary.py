"""What a file of images holds, as JSON values and as text."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import Microstructures


def summarise(batches: Iterable[Microstructures], units: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Summarises images in one pass, with one batch in memory at a time.

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
        fractions.append(batch.volume_fractions)
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
        "pixel_size": list(last.spacing) if last.aspect else last.pixel_size,
        "length_unit": last.length_unit,
        "classes": dict(classes),
        "volume_fraction": {str(phase): _spread(shares[:, phase]) for phase in range(last.n_phases)},
        "one_phase_images": int((shares.max(axis=1) == 1).sum()),
        "properties": {
            name: _spread(np.concatenate(parts)) | {"unit": (units or {}).get(name, "")}
            for name, parts in properties.items()
        },
    }


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
