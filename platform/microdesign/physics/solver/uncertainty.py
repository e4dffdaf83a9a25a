"""How far the pixels are from the geometry that they stand for: two discretizations, and certified bounds in the plane.

`q1` is stiff (an upper bound for the geometry of the pixels), `rotated` is soft at the corners and mostly nearer; both
converge to the same values as the pixels shrink. Their gap is taken as the uncertainty of the discretization.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from microdesign.core.errors import InputError
from microdesign.physics.materials import Materials, TensorPhase
from microdesign.physics.properties import properties_of
from microdesign.physics.solver.conjugate_gradients import MOST_ITERATIONS
from microdesign.physics.solver.homogenization import Homogenization, homogenize
from microdesign.physics.solver.precision import Precision


@dataclass(frozen=True)
class Uncertainty:
    """Properties of n images by two discretizations.

    Attributes:
        q1: The tensors by `q1`.
        rotated: The tensors by `rotated`.
        properties: Of both: `(2, n)` for each property, `q1` first.
        gap: Their distance, `(n,)` for each property, in its unit.
        bracket: For plane conduction without voids, the certified lower and upper bounds of the conductivity tensor of
            the pixels' geometry, each `(n, 2, 2)`, as `conductivity_bracket` returns them; else None.
    """

    q1: Homogenization
    rotated: Homogenization
    properties: dict[str, np.ndarray]
    gap: dict[str, np.ndarray]
    bracket: tuple[np.ndarray, np.ndarray] | None


def discretization_uncertainty(
    labels: np.ndarray,
    materials: Materials,
    *,
    dims: int = 2,
    spacing: Sequence[float] | None = None,
    boundary: str = "periodic",
    tolerance: float = 1e-4,
    precision: Precision = "auto",
    max_iterations: int = MOST_ITERATIONS,
) -> Uncertainty:
    """Homogenizes by `q1` and by `rotated`, and brackets the plane conductivity; arguments as of `homogenize`.

    Raises:
        InputError: The labels are no images of these phases, or a setting is out of its range.
        NotConvergedError: An image did not reach the tolerance.
        EvaluationError: The solid does not hang together, so that there are no engineering constants.
    """

    def by(discretization: str, phases: Materials = materials) -> Homogenization:
        return homogenize(
            labels,
            phases,
            dims=dims,
            spacing=spacing,
            boundary=boundary,
            discretization=discretization,
            tolerance=tolerance,
            precision=precision,
            max_iterations=max_iterations,
        )

    q1, rotated = by("q1"), by("rotated")
    here, there = (properties_of(each.stiffness, each.conductivity, materials) for each in (q1, rotated))
    properties = {name: np.stack([here[name], there[name]]) for name in here}
    bracket = None
    if dims == 2 and materials.has_conductivity and not _insulates(materials):
        bracket = _dual_bound(by("q1", dual_materials(materials)).conductivity), q1.conductivity
    gap = {name: np.abs(values[0] - values[1]) for name, values in properties.items()}
    return Uncertainty(q1, rotated, properties, gap, bracket)


def conductivity_bracket(
    labels: np.ndarray,
    materials: Materials,
    *,
    spacing: Sequence[float] | None = None,
    boundary: str = "periodic",
    tolerance: float = 1e-4,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns bounds (lower, upper) of the conductivity tensor of the geometry that the pixels draw, each `(n, 2, 2)`.

    In the sense of quadratic forms, lower <= K <= upper. The minimum of the energy over bilinear fields is an upper
    bound, at any iterate. A plane flux is the gradient of a stream function turned by 90 degrees, so that the same
    holds for the resistivity: with the dual phases k' = R^T k^-1 R, K' = R^T K^-1 R, and the bound K' <= K'_q1 is
    K >= R K'_q1^-1 R^T (J. B. Keller, J. Math. Phys. 5 (1964); A. M. Dykhne 1970; K. S. Mendelson 1975). With mirrors
    it holds as well: the turn makes isothermal faces of the insulated ones.

    Arguments as of `homogenize`.

    Raises:
        InputError: A phase is an insulator, whose dual conducts without limit; or as `homogenize`.
        NotConvergedError: An image did not reach the tolerance.
    """
    if not materials.has_conductivity or _insulates(materials):
        raise InputError("a phase does not conduct (k = 0), so the dual problem has no finite phases; expected k > 0.")
    settings: dict[str, Any] = {"spacing": spacing, "boundary": boundary, "tolerance": tolerance}
    upper = homogenize(labels, _conductive(materials), **settings)
    lower = homogenize(labels, dual_materials(materials), **settings)
    return _dual_bound(lower.conductivity), upper.conductivity


def dual_materials(materials: Materials) -> Materials:
    """Returns phases of the dual plane conductivities k / det k, which is R^T k^-1 R, without stiffness."""
    k = materials.conductivity_tensors(2)
    assert k is not None
    return _plane_conductors(k / np.linalg.det(k)[:, None, None])


def property_bracket(lower: np.ndarray, upper: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the bounds of `kx` and `ky`, 1 over the diagonal of K^-1, from those of K: `(2, n)` each, lower first."""
    inverses = np.linalg.inv(lower), np.linalg.inv(upper)
    return {name: np.stack([1 / each[:, axis, axis] for each in inverses]) for axis, name in enumerate(("kx", "ky"))}


def _dual_bound(dual: np.ndarray) -> np.ndarray:
    """R K'^-1 R^T = K' / det K' of tensors `(n, 2, 2)`."""
    return dual / np.linalg.det(dual)[:, None, None]


def _conductive(materials: Materials) -> Materials:
    k = materials.conductivity_tensors(2)
    assert k is not None
    return _plane_conductors(k)


def _plane_conductors(k_PKK: np.ndarray) -> Materials:
    matrices = [tuple(tuple(float(value) for value in row) for row in (k + k.T) / 2) for k in k_PKK]
    return Materials(phases=tuple(TensorPhase(conductivity=matrix) for matrix in matrices))


def _insulates(materials: Materials) -> bool:
    k = materials.conductivity_tensors(2)
    return k is None or any(not tensor.any() for tensor in k)
