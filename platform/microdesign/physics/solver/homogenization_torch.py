"""The solver in plain torch, all images of a batch at once: for a GPU, where the compiled loops do not run.

The equations, the reference medium and the iteration are those of `equations` and `conjugate_gradients`; on a CPU
`solver.homogenize` is many times faster.

Shapes in names: B batch, L load cases, C components of the displacement, K components of the strain, S all of space.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch

from microdesign.core.errors import InputError
from microdesign.physics.materials import Materials
from microdesign.physics.solver.conjugate_gradients import iterate
from microdesign.physics.solver.discretization import hourglass
from microdesign.physics.solver.equations import Conduction, Elasticity
from microdesign.physics.solver.homogenization import (
    Homogenization,
    check_labels,
    check_spacing,
    refuse_unconverged,
)
from microdesign.physics.solver.precision import Precision, field_type
from microdesign.physics.solver.stencils.torch_stencil import flux_divergence, stress_divergence

Operator = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""`operator(u_BLCS, strain_LK)` returns B^T C (E + B u)."""

_ORDER = {1: [[0]], 3: [[0, 2], [2, 1]], 6: [[0, 5, 4], [5, 1, 3], [4, 3, 2]]}
"""Where the components of a symmetric matrix stand, by their number."""


def homogenize_batch(
    labels: np.ndarray,
    materials: Materials,
    *,
    device: str = "cpu",
    dims: int = 2,
    spacing: Sequence[float] | None = None,
    discretization: str = "q1",
    tolerance: float = 1e-4,
    precision: Precision = "auto",
    max_iterations: int = 2000,
) -> Homogenization:
    """Computes what `solver.homogenize` does on a torch device; the images iterate together until the last is done.

    A pixel holds its whole tensor: 36 numbers a voxel for elasticity, besides some 8 fields a load case.

    Args:
        device: A torch device, such as `cuda`.
        labels: As of `solver.homogenize`, and so the other arguments; `fv` is not available here.
        materials: The phases.
        dims: 2 or 3.
        spacing: Edge lengths of a pixel or voxel.
        discretization: `q1`, `rotated` or `q1bbar`.
        tolerance: Relative error of the diagonal entries.
        precision: Of the fields.
        max_iterations: Iterations after which an image counts as not converged.

    Raises:
        InputError: As `solver.homogenize`.
        NotConvergedError: As `solver.homogenize`.
    """
    labels = check_labels(labels, materials, dims)
    hourglass(discretization)
    if discretization == "fv":
        raise InputError("discretization = 'fv' is not available on torch devices; expected q1, rotated or q1bbar.")
    if not 1e-12 <= tolerance <= 0.1 or max_iterations < 1:
        raise InputError(
            f"tolerance = {tolerance}, max_iterations = {max_iterations}; expected 1e-12 to 0.1, and 1 or more."
        )
    problem = check_spacing(spacing, dims), discretization, field_type(precision, materials.contrast, tolerance)
    n, K = len(labels), 3 * dims - 3
    result = Homogenization(
        np.full((n, K, K), np.nan), np.full((n, dims, dims), np.nan), np.zeros(n, np.int64), np.zeros(n)
    )
    index = torch.from_numpy(labels.astype(np.int64)).to(device)
    for equations, tensors in (
        (Elasticity(materials, labels.shape[1:], *problem) if materials.has_stiffness else None, result.stiffness),
        (
            Conduction(materials, labels.shape[1:], *problem) if materials.has_conductivity else None,
            result.conductivity,
        ),
    ):
        if equations is not None:
            tensors[:], iterations, error = _solve(equations, index, labels, tolerance, max_iterations)
            np.maximum(result.iterations, iterations, out=result.iterations)
            np.maximum(result.error_estimate, error, out=result.error_estimate)
    refuse_unconverged(result, tolerance, max_iterations)
    return result


def _operator(equations: Elasticity | Conduction, index: torch.Tensor, dtype: torch.dtype) -> Operator:
    def field(tensors_PKK: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(tensors_PKK).to(index.device, dtype)[index].movedim((-2, -1), (1, 2)).contiguous()

    C = field(equations.tensors)
    if isinstance(equations, Conduction):
        return lambda t, gradient: flux_divergence(t[:, :, 0], gradient, C, equations.weight)[:, :, None]
    weight = equations.hourglass.weight
    second = C if equations.hourglass_tensors is equations.tensors else field(equations.hourglass_tensors)
    return lambda u, strain: stress_divergence(u, strain, C, second, weight)


def _solve(
    equations: Elasticity | Conduction, index: torch.Tensor, labels: np.ndarray, tolerance: float, max_iterations: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Effective tensors `(B, K, K)`, iterations and estimated errors `(B,)`."""
    dtype = {"float32": torch.float32, "float64": torch.float64}[equations.dtype]
    voigt = np.stack([equations.mean_tensor(image) for image in labels])
    operator = _operator(equations, index, dtype)
    strain_LK = torch.from_numpy(equations.loads).to(index.device, dtype)
    shape = (len(labels), len(strain_LK), equations.components, *labels.shape[1:])
    matrices = equations.green[np.array(_ORDER[len(equations.green)])]
    green = torch.from_numpy(matrices).to(index.device, dtype.to_complex())
    u = torch.zeros(shape, dtype=dtype, device=index.device)
    f = -operator(u, strain_LK)
    none_LK = torch.zeros_like(strain_LK)
    iterates = TensorIterates(lambda d: operator(d, none_LK), green, u, f.clone())
    rz_BL = _dot(iterates.residual, iterates.z)
    voigt_BL = np.diagonal(voigt, axis1=1, axis2=2) * math.prod(labels.shape[1:])
    iterations_B, error_B = iterate(
        iterates,
        rz_BL,
        voigt_BL,
        voigt_BL=voigt_BL,
        floor_BL=rz_BL * float(torch.finfo(dtype).eps) ** 2,
        smallest_eigenvalue=equations.smallest_eigenvalue,
        tolerance=tolerance,
        max_iterations=max_iterations,
    )
    work = (torch.einsum("bix,bjx->bij", *(a.flatten(2) for a in pair)) for pair in ((f, u), (u, iterates.residual)))
    change = sum(part.double() for part in work)
    assert isinstance(change, torch.Tensor)
    tensors = voigt - change.cpu().numpy() / math.prod(labels.shape[1:])
    found = np.stack([equations.in_units(*each) for each in zip(tensors, voigt, strict=True)])
    return found, iterations_B, error_B


class TensorIterates:
    """The fields of all images' iterations, `(B, L, C, *S)` each, on a torch device."""

    def __init__(
        self,
        operator: Callable[[torch.Tensor], torch.Tensor],
        green: torch.Tensor,
        u: torch.Tensor,
        residual: torch.Tensor,
    ) -> None:
        self.operator, self.green, self.u, self.residual = operator, green, u, residual
        self.z = _precondition(residual, green)
        self.direction, self.image = self.z.clone(), torch.empty_like(u)

    def curvature(self) -> np.ndarray:
        """Computes K d and returns d.K d, `(B, L)`."""
        self.image = self.operator(self.direction)
        return _dot(self.direction, self.image)

    def advance(self, alpha_BL: np.ndarray) -> np.ndarray:
        """Computes u += alpha d, r -= alpha K d and z, and returns r.z, `(B, L)`."""
        alpha = self._spread(alpha_BL)
        self.u += alpha * self.direction
        self.residual -= alpha * self.image
        self.z = _precondition(self.residual, self.green)
        return _dot(self.residual, self.z)

    def redirect(self, beta_BL: np.ndarray) -> None:
        """Computes d = z + beta d."""
        self.direction = self.z + self._spread(beta_BL) * self.direction

    def _spread(self, factors_BL: np.ndarray) -> torch.Tensor:
        factors = torch.from_numpy(factors_BL).to(self.u.device, self.u.dtype)
        return factors.reshape(*factors_BL.shape, *[1] * (self.u.ndim - 2))


def _precondition(residual: torch.Tensor, green: torch.Tensor) -> torch.Tensor:
    axes = tuple(range(3, residual.ndim))
    spectrum = torch.fft.rfftn(residual, dim=axes)
    spectrum = torch.einsum("cd...,bld...->blc...", green, spectrum)
    return torch.fft.irfftn(spectrum, s=residual.shape[3:], dim=axes)


def _dot(a: torch.Tensor, b: torch.Tensor) -> np.ndarray:
    """The inner product of each load case, `(B, L)` on the host."""
    return (a * b).flatten(2).sum(2, dtype=torch.float64).cpu().numpy()
