"""What `microdesign homogenize` prints: one entry an image."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from microdesign.core.errors import InputError
from microdesign.physics.effective_properties import EffectiveProperties, defined, volume_fractions
from microdesign.physics.label_images import NamedImage
from microdesign.physics.materials import Materials
from microdesign.physics.solver.boundary import chosen_boundary
from microdesign.physics.solver.homogenization import homogenize
from microdesign.physics.solver.uncertainty import Uncertainty, discretization_uncertainty, property_bracket


def homogenize_report(
    images: Iterable[NamedImage | tuple[str, np.ndarray]],
    materials: Materials,
    *,
    dims: int = 2,
    spacing: Sequence[float] | None = None,
    boundary: str = "auto",
    discretization: str = "q1",
    tolerance: float = 1e-4,
    uncertainty: bool = False,
) -> list[dict[str, Any]]:
    """Homogenizes named images, each at its own size, into JSON values.

    Args:
        images: `NamedImage`s, or pairs of a path (or any name) and phase labels, integers `(X, Y)`, or `(X, Y, Z)` with
            `dims` = 3; axis 0 is x.
        materials: The phases.
        dims: 2 or 3.
        spacing: Edge lengths of a pixel or voxel, one an axis; None takes those of each image.
        boundary: `periodic`, `mirror`, or `auto`: mirror of images that are not periodic.
        discretization: As of `homogenize`; with `uncertainty` it is `q1`.
        tolerance: Relative error of the effective tensors.
        uncertainty: Whether to solve by both `q1` and `rotated`, and to bracket the plane conductivity.

    Returns:
        One mapping an image: `image` (the name), `boundary`, `volume_fractions` (of each phase), `properties`
        (`property_names` of the materials; None where one is not defined), `stiffness` (3 x 3; xx, yy, xy with
        engineering shear; or 6 x 6), `conductivity` (2 x 2 or 3 x 3), `iterations`, `error_estimate` (relative) and
        `units` (of E and k, as the user named them). A tensor that the phases have no moduli for is None. With
        `uncertainty` also a mapping `uncertainty`: for each property `q1`, `rotated` and `gap`, and in the plane
        `bounds`, certified lower and upper values of kx and ky for the geometry that the pixels draw.

    Raises:
        InputError: An array is no image of these materials; the message begins with its name.
        NotConvergedError: An image did not reach the tolerance.
    """
    if uncertainty and discretization != "q1":
        raise InputError(
            f"discretization = {discretization!r} does not go with the uncertainty, which compares q1 and rotated."
        )
    entries = []
    for name, labels, periodic, own in (NamedImage(*each) for each in images):
        if np.ndim(labels) != dims:
            expected = "one image (X, Y)" if dims == 2 else "one volume (X, Y, Z)"
            raise InputError(f"{name}: has shape {np.shape(labels)}; expected {expected}.")
        edges = chosen_boundary(boundary, periodic)
        settings: dict[str, Any] = {"dims": dims, "spacing": spacing or own, "boundary": edges, "tolerance": tolerance}
        try:
            both = discretization_uncertainty(labels, materials, **settings) if uncertainty else None
            tensors = both.q1 if both else homogenize(labels, materials, discretization=discretization, **settings)
            fractions = volume_fractions(labels[None], materials)
            found = EffectiveProperties((name,), materials, fractions, tensors, single=True, boundaries=(edges,))
            (entry,) = found.documents()
            if both is not None:
                entry["uncertainty"] = _uncertainty(both)
        except InputError as error:
            raise type(error)(f"{name}: {error}") from None
        entries.append(entry)
    return entries


def _uncertainty(both: Uncertainty) -> dict[str, Any]:
    document: dict[str, Any] = {
        key: {name: defined(values[number, 0]) for name, values in both.properties.items()}
        for number, key in enumerate(("q1", "rotated"))
    }
    document["gap"] = {name: defined(values[0]) for name, values in both.gap.items()}
    if both.bracket is not None:
        document["bounds"] = {name: values[:, 0].tolist() for name, values in property_bracket(*both.bracket).items()}
    return document
