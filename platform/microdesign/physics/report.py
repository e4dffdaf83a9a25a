"""What `microdesign homogenize` prints: one entry an image."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from microdesign.core.errors import EvaluationError, InputError
from microdesign.microstructure.io.options import ReadOptions
from microdesign.microstructure.io.readers import find_reader, read_images
from microdesign.physics.materials import Materials
from microdesign.physics.properties import properties_of
from microdesign.physics.solver.homogenization import Homogenization, homogenize
from microdesign.physics.solver.uncertainty import Uncertainty, discretization_uncertainty, property_bracket


def homogenize_report(
    images: Iterable[tuple[str, np.ndarray]],
    materials: Materials,
    *,
    dims: int = 2,
    edges: Sequence[float] | None = None,
    discretization: str = "q1",
    tolerance: float = 1e-4,
    uncertainty: bool = False,
) -> list[dict[str, Any]]:
    """Homogenizes named images, each at its own size, into JSON values.

    Args:
        images: Pairs of a path (or any name) and phase labels, integers `(X, Y)`, or `(X, Y, Z)` with `dims` = 3; axis
            0 is x.
        materials: The phases.
        dims: 2 or 3.
        edges: Lengths of a pixel's or voxel's edges, one an axis; None for squares and cubes.
        discretization: As of `homogenize`; with `uncertainty` it is `q1`.
        tolerance: Relative error of the effective tensors.
        uncertainty: Whether to solve by both `q1` and `rotated`, and to bracket the plane conductivity.

    Returns:
        One mapping an image: `image` (the name), `volume_fractions` (of each phase), `properties` (`property_names` of
        the materials), `stiffness` (3 x 3; xx, yy, xy with engineering shear; or 6 x 6), `conductivity` (2 x 2 or 3 x
        3), `iterations`, `error_estimate` (relative) and `units` (of E and k, as the user named them). A tensor that
        the phases have no moduli for is None. With `uncertainty` also a mapping `uncertainty`: for each
        property `q1`, `rotated` and `gap`, and in the plane `bounds`, certified lower and upper values of kx and ky
        for the geometry that the pixels draw.

    Raises:
        InputError: An array is no image of these materials; the message begins with its name.
        EvaluationError: The solid of an image does not hang together; the message begins with its name.
        NotConvergedError: An image did not reach the tolerance.
    """
    if uncertainty and discretization != "q1":
        raise InputError(
            f"discretization = {discretization!r} does not go with the uncertainty, which compares q1 and rotated."
        )
    entries = []
    for name, labels in images:
        if np.ndim(labels) != dims:
            expected = "one image (X, Y)" if dims == 2 else "one volume (X, Y, Z)"
            raise InputError(f"{name}: has shape {np.shape(labels)}; expected {expected}.")
        settings: dict[str, Any] = {"dims": dims, "edges": edges, "tolerance": tolerance}
        try:
            if uncertainty:
                both = discretization_uncertainty(labels, materials, **settings)
                entry = _entry(name, labels, both.q1, materials)
                entry["uncertainty"] = _uncertainty(both)
            else:
                result = homogenize(labels, materials, discretization=discretization, **settings)
                entry = _entry(name, labels, result, materials)
        except (InputError, EvaluationError) as error:
            raise type(error)(f"{name}: {error}") from None
        entries.append(entry)
    return entries


def read_labels(path: str | Path, dims: int = 2) -> list[tuple[str, np.ndarray]]:
    """Reads all images of a file or folder of any known format, each with its name: the path, with its number in many.

    Args:
        path: Phase labels. Where the format does not say whether three axes are a stack of images or one volume, `dims`
            decides.
        dims: 2 or 3.

    Raises:
        InputError: The path is missing, damaged or holds no images, or `dims` is neither 2 nor 3.
    """
    if dims not in (2, 3):
        raise InputError(f"dims = {dims} is out of range; expected 2 or 3.")
    batches = list(read_images(path))
    if dims == 3 and len(batches[0].shape) == 2 and "dims" in find_reader(path).takes:
        batches = list(read_images(path, options=ReadOptions(dims=3)))
    stack = [labels for batch in batches for labels in batch.labels]
    return [(str(path) if len(stack) == 1 else f"{path}[{i}]", labels) for i, labels in enumerate(stack)]


def _entry(name: str, labels: np.ndarray, result: Homogenization, materials: Materials) -> dict[str, Any]:
    counts = np.bincount(labels.reshape(-1), minlength=len(materials.phases))
    constants = properties_of(result.stiffness, result.conductivity, materials)
    return {
        "image": name,
        "volume_fractions": (counts / labels.size).tolist(),
        "properties": {key: float(value[0]) for key, value in constants.items()},
        "stiffness": result.stiffness[0].tolist() if materials.has_stiffness else None,
        "conductivity": result.conductivity[0].tolist() if materials.has_conductivity else None,
        "iterations": int(result.iterations[0]),
        "error_estimate": float(result.error_estimate[0]),
        "units": materials.units.model_dump(),
    }


def _uncertainty(both: Uncertainty) -> dict[str, Any]:
    document: dict[str, Any] = {
        key: {name: float(values[number, 0]) for name, values in both.properties.items()}
        for number, key in enumerate(("q1", "rotated"))
    }
    document["gap"] = {name: float(values[0]) for name, values in both.gap.items()}
    if both.bracket is not None:
        document["bounds"] = {name: values[:, 0].tolist() for name, values in property_bracket(*both.bracket).items()}
    return document
