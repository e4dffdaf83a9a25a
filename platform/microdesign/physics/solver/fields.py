"""Local fields of one image: strain and stress, temperature gradient and flux, for a macroscopic load.

Shapes in names: K components of the strain (Voigt's order, engineering shear), d dimensions, S all of space.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from microdesign.core.errors import InputError
from microdesign.physics.materials import Materials
from microdesign.physics.solver.conjugate_gradients import MOST_ITERATIONS
from microdesign.physics.solver.discretization import with_direction
from microdesign.physics.solver.homogenization import check_labels, check_spacing, homogenize
from microdesign.physics.solver.precision import Precision
from microdesign.physics.tensors import PAIRS


@dataclass(frozen=True)
class LocalFields:
    """Means over each pixel or voxel, in the units of the materials; None where there is no such load.

    Attributes:
        strain: `(K, *S)`, engineering shear.
        stress: `(K, *S)`.
        displacement: Fluctuation at the nodes, `(d, *S)`; node (i, j) is the pixel's corner of lowest i and j. In
            units of the spacing along x. With mirrors there is a node more along each axis.
        gradient: Of the temperature, `(d, *S)`.
        flux: Conductivity times `gradient`, `(d, *S)`.
        temperature: Fluctuation at the nodes, likewise, `(*S)`.
    """

    strain: np.ndarray | None = None
    stress: np.ndarray | None = None
    displacement: np.ndarray | None = None
    gradient: np.ndarray | None = None
    flux: np.ndarray | None = None
    temperature: np.ndarray | None = None


def local_fields(
    labels: np.ndarray,
    materials: Materials,
    *,
    strain: Sequence[float] | None = None,
    gradient: Sequence[float] | None = None,
    dims: int = 2,
    spacing: Sequence[float] | None = None,
    boundary: str = "periodic",
    tolerance: float = 1e-6,
    precision: Precision = "auto",
    max_iterations: int = MOST_ITERATIONS,
) -> LocalFields:
    """Solves one image by `q1` and returns its fields for a macroscopic strain and, or, temperature gradient.

    Always by `q1`: the rotated scheme leaves hourglass modes free, which spoils its fields and not its tensors. The
    mean over a pixel of the gradient is the mode M_(e_j) u / h_j; for elements it is exact. Inside voids the strain
    means nothing, the stress is 0.

    Args:
        labels: Phase labels of one image `(X, Y)`, or with `dims` = 3 one volume `(X, Y, Z)`.
        materials: The phases.
        strain: Macroscopic strain, xx, yy, xy or xx, yy, zz, yz, xz, xy, the shears being the engineering ones.
        gradient: Macroscopic temperature gradient, `(d,)`.
        dims: 2 or 3.
        spacing: Edge lengths of a pixel or voxel, one an axis; None for squares and cubes.
        boundary: `periodic` or `mirror`, as of `homogenize`.
        tolerance: Relative error of the energy; that of the fields is about its square root.
        precision: As of `homogenize`.
        max_iterations: As of `homogenize`.

    Raises:
        InputError: The labels are no single image of these phases, a load is missing or of the wrong length, the phases
            lack what it needs, or a setting is out of its range.
        NotConvergedError: The image did not reach the tolerance.
    """
    image = check_labels(labels, materials, dims)
    if len(image) != 1:
        raise InputError(f"labels hold {len(image)} images; expected one.")
    lengths = check_spacing(spacing, dims)
    load_K = _load("strain", strain, 3 * dims - 3, materials.has_stiffness)
    load_d = _load("gradient", gradient, dims, materials.has_conductivity)
    if load_K is None and load_d is None:
        raise InputError("no load; expected a strain, a gradient or both.")
    (solved,) = homogenize(
        image,
        materials,
        dims=dims,
        spacing=spacing,
        boundary=boundary,
        tolerance=tolerance,
        precision=precision,
        max_iterations=max_iterations,
        keep_fields=True,
    ).fields
    pixels = tuple(slice(size) for size in image[0].shape)
    found: dict[str, np.ndarray] = {}
    if load_K is not None:
        assert solved.displacement is not None
        u_dS = np.tensordot(load_K, solved.displacement.astype(np.float64), 1)
        eps_KS = load_K.reshape(-1, *[1] * dims) + np.zeros((1, *image[0].shape))
        for component, (a, b) in enumerate(PAIRS[dims]):
            eps_KS[component] += mean_gradient(u_dS[a], b)[pixels] / lengths[b]
            if a != b:
                eps_KS[component] += mean_gradient(u_dS[b], a)[pixels] / lengths[a]
        stress = _times(materials.stiffness_tensors(dims), image[0], eps_KS)
        found |= {"strain": eps_KS, "stress": stress, "displacement": u_dS}
    if load_d is not None:
        assert solved.temperature is not None
        t_S = np.tensordot(load_d, solved.temperature.astype(np.float64), 1)[0]
        slopes = np.stack([mean_gradient(t_S, axis)[pixels] / lengths[axis] for axis in range(dims)])
        slopes += load_d.reshape(-1, *[1] * dims)
        flux = _times(materials.conductivity_tensors(dims), image[0], slopes)
        found |= {"gradient": slopes, "flux": flux, "temperature": t_S}
    return LocalFields(**found)


def mean_gradient(u_S: np.ndarray, axis: int) -> np.ndarray:
    """Returns M_(e_axis) u of each unit pixel or voxel, `(*S)`: the difference along `axis`, the mean along others."""
    mode = with_direction((0,) * u_S.ndim, axis)
    for along, difference in enumerate(mode):
        upper = np.roll(u_S, -1, along)
        u_S = upper - u_S if difference else (upper + u_S) / 2
    return u_S


def _load(name: str, load: Sequence[float] | None, size: int, given: bool) -> np.ndarray | None:
    if load is None:
        return None
    values = np.asarray(load, dtype=np.float64)
    if values.shape != (size,) or not np.isfinite(values).all():
        raise InputError(f"{name} = {load} is not valid; expected {size} numbers.")
    if not given:
        raise InputError(
            f"{name} = {load}, but the phases have no {'stiffness' if name == 'strain' else 'conductivity'}."
        )
    return values


def _times(tensors: np.ndarray | None, image: np.ndarray, field_KS: np.ndarray) -> np.ndarray:
    assert tensors is not None
    return np.einsum("...ab,b...->a...", tensors[image], field_KS)
