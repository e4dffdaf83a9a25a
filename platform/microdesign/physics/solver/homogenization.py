"""Effective stiffness and conductivity of periodic images and volumes; the equations are in `equations`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from microdesign.core.errors import InputError, NotConvergedError
from microdesign.physics.materials import Materials
from microdesign.physics.solver.boundary import check_boundary
from microdesign.physics.solver.conjugate_gradients import MOST_ITERATIONS
from microdesign.physics.solver.discretization import hourglass
from microdesign.physics.solver.equations import Conduction, Elasticity
from microdesign.physics.solver.precision import Precision, field_type


@dataclass(frozen=True)
class Fields:
    """The fluctuations of one image for unit macroscopic strains and gradients, in units of the spacing along x.

    With mirrors there is a node more along each axis (not of finite volumes): `(3, 2, X + 1, Y + 1)`.

    Attributes:
        displacement: `(3, 2, X, Y)`, or `(6, 3, X, Y, Z)`; the loads are in the order of the stiffness. None without
            elasticity.
        temperature: `(2, 1, X, Y)`, or `(3, 1, X, Y, Z)`. None without conduction.
    """

    displacement: np.ndarray | None
    temperature: np.ndarray | None


@dataclass(frozen=True)
class Homogenization:
    """Effective tensors of n images, float64, in the units of the materials.

    Attributes:
        stiffness: `(n, 3, 3)`, order xx, yy, xy with engineering shear, or `(n, 6, 6)`, order xx, yy, zz, yz, xz, xy;
            NaN if the phases have no stiffness.
        conductivity: `(n, 2, 2)` or `(n, 3, 3)`; NaN if the phases have no conductivity.
        iterations: `(n,)` int64, the most that a physics needed.
        error_estimate: `(n,)`, estimated relative error of the diagonal entries.
        fields: Of each image, if they were asked for.
    """

    stiffness: np.ndarray
    conductivity: np.ndarray
    iterations: np.ndarray
    error_estimate: np.ndarray
    fields: tuple[Fields, ...] = ()


def homogenize(
    labels: np.ndarray,
    materials: Materials,
    *,
    dims: int = 2,
    spacing: Sequence[float] | None = None,
    boundary: str = "periodic",
    discretization: str = "q1",
    tolerance: float = 1e-4,
    precision: Precision = "auto",
    max_iterations: int = MOST_ITERATIONS,
    keep_fields: bool = False,
    start: Sequence[Fields] = (),
) -> Homogenization:
    """Computes the effective stiffness and conductivity of periodic or mirrored images or volumes.

    Images are in plane stress or plane strain, as the materials say. Phases may be voids (E or k = 0): the tensors are
    then those of the solid, and a direction in which it does not hang together gets 0.

    Args:
        labels: Phase labels, integers, `(n, X, Y)` or one image `(X, Y)`; with `dims` = 3, `(n, X, Y, Z)` or one volume
            `(X, Y, Z)`. Axis 0 of an image is x.
        materials: The phases; a pixel of label i is of `materials.phases[i]`.
        dims: 2 or 3.
        spacing: Edge lengths of a pixel or voxel, one an axis, in any unit; None for squares and cubes.
        boundary: `periodic`, or `mirror` of images that do not repeat: isothermal ends and insulated sides in
            conduction, normal mixed conditions in elasticity, see `boundary`. It equals the periodic solve of the image
            of twice the size that mirrors make of it; entries such as C16 and k12 are 0.
        discretization: `q1` (one bilinear or trilinear element per pixel, full integration), `rotated` (Willot's
            scheme), `q1bbar` (`q1` with the mean dilatation in elasticity) or `fv` (finite volumes in conduction).
        tolerance: Relative error of the diagonal entries at which an image is done, in [1e-12, 0.1].
        precision: Of the fields; `auto` takes float32 up to contrast 1000 and tolerance 1e-5, else float64.
        max_iterations: Iterations after which an image counts as not converged.
        keep_fields: Whether to return the fields.
        start: Fields of each image to begin with, such as those of a similar image; none begins with 0.

    Raises:
        InputError: The labels are no images of these phases, a setting is out of its range, or the discretization does
            not fit the materials.
        NotConvergedError: An image did not reach the tolerance; `best` holds the `Homogenization` of all images.
    """
    labels = check_labels(labels, materials, dims)
    hourglass(discretization)
    check_boundary(boundary)
    if not 1e-12 <= tolerance <= 0.1:
        raise InputError(f"tolerance = {tolerance} is out of range; expected 1e-12 to 0.1.")
    if max_iterations < 1:
        raise InputError(f"max_iterations = {max_iterations} is out of range; expected 1 or more.")
    lengths = check_spacing(spacing, dims)
    dtype = field_type(precision, materials.contrast, tolerance)
    n, K = len(labels), 3 * dims - 3
    if start and len(start) != n:
        raise InputError(f"start has the fields of {len(start)} images; expected those of {n}.")
    problem = lengths, discretization, dtype, boundary
    elasticity = Elasticity(materials, labels.shape[1:], *problem) if materials.has_stiffness else None
    conduction = Conduction(materials, labels.shape[1:], *problem) if materials.has_conductivity else None
    result = Homogenization(
        np.full((n, K, K), np.nan), np.full((n, dims, dims), np.nan), np.zeros(n, np.int64), np.zeros(n)
    )
    fields = []
    for i, image in enumerate(labels):  # one at a time: a structure's fields then stay in the processor's cache
        begin = start[i] if start else Fields(None, None)
        reached: list[np.ndarray | None] = []
        for equations, tensors, first in (
            (elasticity, result.stiffness, begin.displacement),
            (conduction, result.conductivity, begin.temperature),
        ):
            if equations is None:
                reached.append(None)
                continue
            try:
                tensors[i], solution = equations.solve(image, tolerance, max_iterations, first, keep_fields)
            except InputError as error:
                raise InputError(f"image {i}: {error}") from None
            result.iterations[i] = max(result.iterations[i], solution.iterations)
            result.error_estimate[i] = max(result.error_estimate[i], solution.error_estimate)
            reached.append(solution.u)
        if keep_fields:
            fields.append(Fields(*reached))
    result = replace(result, fields=tuple(fields))
    refuse_unconverged(result, tolerance, max_iterations)
    return result


def refuse_unconverged(result: Homogenization, tolerance: float, max_iterations: int) -> None:
    """Raises the error of images that did not reach the tolerance, if there are some.

    Raises:
        NotConvergedError: `best` holds the `Homogenization` of all images.
    """
    n = len(result.error_estimate)
    failed = np.flatnonzero(~(result.error_estimate <= tolerance))
    if len(failed):
        first = failed[0]
        raise NotConvergedError(
            f"{len(failed)} of {n} images did not converge in {max_iterations} iterations; image {first} reached "
            f"a relative error of {result.error_estimate[first]:.1e}; the tolerance is {tolerance:.1e}. Raise the "
            "iterations (max_iterations), or the tolerance.",
            best=result,
        )


def check_labels(labels: np.ndarray, materials: Materials, dims: int = 2) -> np.ndarray:
    """Returns the labels as uint8 `(n, X, Y)`, or `(n, X, Y, Z)` with `dims` = 3.

    Raises:
        InputError: They are not whole numbers, not of `dims` or `dims` + 1 axes, empty, smaller than 2 pixels along an
            axis, or outside the phases.
    """
    if dims not in (2, 3):
        raise InputError(f"dims = {dims} is out of range; expected 2 or 3.")
    labels = np.asarray(labels)
    if labels.dtype.kind not in "biu":
        raise InputError(
            f"labels are of type {labels.dtype}; expected integers, the number of the phase of each pixel."
        )
    if labels.ndim not in (dims, dims + 1):
        expected = "(images, X, Y) or one image (X, Y)" if dims == 2 else "(volumes, X, Y, Z) or one volume (X, Y, Z)"
        raise InputError(f"labels have shape {labels.shape}; expected {expected}.")
    labels = labels[None] if labels.ndim == dims else labels
    if labels.shape[0] == 0:
        raise InputError(f"labels have shape {labels.shape}, no image; expected at least one.")
    if min(labels.shape[1:]) < 2:
        size, least = " x ".join(str(size) for size in labels.shape[1:]), " x ".join("2" * dims)
        raise InputError(f"images have {size} pixels; expected at least {least}.")
    phases = len(materials.phases)
    if labels.min() < 0 or labels.max() >= phases:
        wrong = (labels < 0) | (labels >= phases)
        image = int(np.flatnonzero(wrong.reshape(len(wrong), -1).any(axis=1))[0])
        raise InputError(
            f"image {image} has label {labels[image][wrong[image]][0]}, but the materials define {phases} "
            f"phase{'s' if phases > 1 else ''} (labels 0 to {phases - 1})."
        )
    return labels.astype(np.uint8, copy=False)


def check_spacing(spacing: Sequence[float] | None, dims: int) -> np.ndarray:
    """Returns the edge lengths of a pixel or voxel relative to the first, `(dims,)`.

    Raises:
        InputError: They are not `dims` finite positive numbers.
    """
    lengths = np.ones(dims) if spacing is None else np.asarray(spacing, dtype=np.float64)
    if lengths.shape != (dims,) or not (np.isfinite(lengths) & (lengths > 0)).all():
        raise InputError(f"spacing = {spacing} is not valid; expected {dims} lengths above 0.")
    return lengths / lengths[0]
