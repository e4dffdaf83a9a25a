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
from microdesign.physics.solver.boundary import LoadCases, Parity, check_boundary, without_wrap
from microdesign.physics.solver.conjugate_gradients import MOST_ITERATIONS, iterate
from microdesign.physics.solver.discretization import hourglass
from microdesign.physics.solver.equations import Conduction, Elasticity
from microdesign.physics.solver.homogenization import (
    Homogenization,
    check_labels,
    check_spacing,
    refuse_unconverged,
)
from microdesign.physics.solver.mirror_green import reflection_signs
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
    boundary: str = "periodic",
    discretization: str = "q1",
    tolerance: float = 1e-4,
    precision: Precision = "auto",
    max_iterations: int = MOST_ITERATIONS,
) -> Homogenization:
    """Computes what `solver.homogenize` does on a torch device; the images iterate together until the last is done.

    A pixel holds its whole tensor: 36 numbers a voxel for elasticity, besides some 8 fields a load case.

    Args:
        device: A torch device, such as `cuda`.
        labels: As of `solver.homogenize`, and so the other arguments; `fv` is not available here.
        materials: The phases.
        dims: 2 or 3.
        spacing: Edge lengths of a pixel or voxel.
        boundary: `periodic` or `mirror`.
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
    check_boundary(boundary)
    if discretization == "fv":
        raise InputError("discretization = 'fv' is not available on torch devices; expected q1, rotated or q1bbar.")
    if not 1e-12 <= tolerance <= 0.1 or max_iterations < 1:
        raise InputError(
            f"tolerance = {tolerance}, max_iterations = {max_iterations}; expected 1e-12 to 0.1, and 1 or more."
        )
    dtype = field_type(precision, materials.contrast, tolerance)
    problem = check_spacing(spacing, dims), discretization, dtype, boundary
    n, K = len(labels), 3 * dims - 3
    result = Homogenization(
        np.full((n, K, K), np.nan), np.full((n, dims, dims), np.nan), np.zeros(n, np.int64), np.zeros(n)
    )
    void = len(materials.phases)
    closed = [without_wrap(image.astype(np.int64), boundary, fill=void) for image in labels]
    index = torch.from_numpy(np.stack(closed)).to(device)
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
        tensors_PKK = np.append(tensors_PKK, np.zeros_like(tensors_PKK[:1]), axis=0)  # the void beyond mirrors
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
    matrices = equations.green[np.array(_ORDER[len(equations.green)])]
    green = torch.from_numpy(matrices).to(index.device, dtype)
    tensors, iterations_B, error_B = np.zeros_like(voigt), np.zeros(len(labels), np.int64), np.zeros(len(labels))
    for case in equations.cases:
        block = (slice(None), case.loads, case.loads)
        tensors[block], iterations, error = _solve_case(
            equations, operator, case, green, index, voigt[block], tolerance, max_iterations
        )
        np.maximum(iterations_B, iterations, out=iterations_B)
        np.maximum(error_B, error, out=error_B)
    found = np.stack([equations.in_units(*each) for each in zip(tensors, voigt, strict=True)])
    return found, iterations_B, error_B


def _solve_case(
    equations: Elasticity | Conduction,
    operator: Operator,
    case: LoadCases,
    green: torch.Tensor,
    index: torch.Tensor,
    voigt: np.ndarray,
    tolerance: float,
    max_iterations: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same of the loads of one case: their block of the tensors."""
    strain_LK = torch.from_numpy(equations.loads[case.loads]).to(index.device, green.dtype)
    space = tuple(index.shape[1:])
    pixels = math.prod(size - (case.odd is not None) for size in space)
    u = torch.zeros((len(index), len(strain_LK), equations.components, *space), dtype=green.dtype, device=index.device)
    f = -operator(u, strain_LK)
    none_LK = torch.zeros_like(strain_LK)
    precondition = _periodic(green) if case.odd is None else _mirrored(green, case.odd, space)
    iterates = TensorIterates(lambda d: operator(d, none_LK), precondition, u, f.clone())
    rz_BL = _dot(iterates.residual, iterates.z)
    voigt_BL = np.diagonal(voigt, axis1=1, axis2=2) * pixels
    iterations_B, error_B = iterate(
        iterates,
        rz_BL,
        voigt_BL,
        voigt_BL=voigt_BL,
        floor_BL=rz_BL * float(torch.finfo(green.dtype).eps) ** 2,
        smallest_eigenvalue=equations.smallest_eigenvalue,
        tolerance=tolerance,
        max_iterations=max_iterations,
    )
    work = (torch.einsum("bix,bjx->bij", *(a.flatten(2) for a in pair)) for pair in ((f, u), (u, iterates.residual)))
    change = sum(part.double() for part in work)
    assert isinstance(change, torch.Tensor)
    return voigt - change.cpu().numpy() / pixels, iterations_B, error_B


class TensorIterates:
    """The fields of all images' iterations, `(B, L, C, *S)` each, on a torch device."""

    def __init__(
        self,
        operator: Callable[[torch.Tensor], torch.Tensor],
        precondition: Callable[[torch.Tensor], torch.Tensor],
        u: torch.Tensor,
        residual: torch.Tensor,
    ) -> None:
        self.operator, self.precondition, self.u, self.residual = operator, precondition, u, residual
        self.z = precondition(residual)
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
        self.z = self.precondition(self.residual)
        return _dot(self.residual, self.z)

    def redirect(self, beta_BL: np.ndarray) -> None:
        """Computes d = z + beta d."""
        self.direction = self.z + self._spread(beta_BL) * self.direction

    def _spread(self, factors_BL: np.ndarray) -> torch.Tensor:
        factors = torch.from_numpy(factors_BL).to(self.u.device, self.u.dtype)
        return factors.reshape(*factors_BL.shape, *[1] * (self.u.ndim - 2))


def _periodic(green: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """K0^-1 of periodic fields, as `green.GreenOperator`."""

    def precondition(residual: torch.Tensor) -> torch.Tensor:
        axes = tuple(range(3, residual.ndim))
        spectrum = torch.fft.rfftn(residual, dim=axes)
        spectrum = torch.einsum("cd...,bld...->blc...", green.to(spectrum.dtype), spectrum)
        return torch.fft.irfftn(spectrum, s=residual.shape[3:], dim=axes)

    return precondition


def _mirrored(green: torch.Tensor, odd: Parity, space: tuple[int, ...]) -> Callable[[torch.Tensor], torch.Tensor]:
    """K0^-1 of even and odd fields, as `mirror_green.MirrorGreenOperator`.

    Along each axis in turn a field is continued to its period 2 N, whose transform is real or imaginary.
    """
    signs = torch.tensor(reflection_signs(odd), dtype=green.dtype, device=green.device)
    green = green * (signs[:, None] * signs).reshape(*green.shape[:2], *[1] * len(space))
    sines = [torch.tensor([each[axis] for each in odd], device=green.device) for axis in range(len(space))]
    free = torch.ones((len(odd), *space), dtype=green.dtype, device=green.device)
    for c, each in enumerate(odd):
        for axis, sine in enumerate(each):
            if sine:
                free[c].movedim(axis, 0)[[0, -1]] = 0

    def forward(field: torch.Tensor, axis: int) -> torch.Tensor:
        sine = _along_components(sines[axis], field.ndim)
        x = field.movedim(3 + axis, -1).clone()
        x[..., 0] *= 2  # the mirrored image has these nodes' forces from both sides
        x[..., -1] *= 2
        continued = torch.where(sine, -1.0, 1.0) * x[..., 1:-1].flip(-1)
        spectrum = torch.fft.rfft(torch.cat([x, continued], -1))
        return torch.where(sine, -spectrum.imag, spectrum.real).movedim(-1, 3 + axis)

    def backward(field: torch.Tensor, axis: int) -> torch.Tensor:
        sine = _along_components(sines[axis], field.ndim)
        x = field.movedim(3 + axis, -1)
        spectrum = torch.complex(torch.where(sine, 0.0, x), torch.where(sine, -x, 0.0))
        n = x.shape[-1]
        return torch.fft.irfft(spectrum, n=2 * (n - 1))[..., :n].movedim(-1, 3 + axis)

    def precondition(residual: torch.Tensor) -> torch.Tensor:
        field = residual
        for axis in range(len(space)):
            field = forward(field, axis)
        field = torch.einsum("cd...,bld...->blc...", green, field)
        for axis in range(len(space)):
            field = backward(field, axis)
        return field * free

    return precondition


def _along_components(values_C: torch.Tensor, ndim: int) -> torch.Tensor:
    """To broadcast against `(B, L, C, *S)`."""
    return values_C.reshape(-1, *[1] * (ndim - 3))


def _dot(a: torch.Tensor, b: torch.Tensor) -> np.ndarray:
    """The inner product of each load case, `(B, L)` on the host."""
    return (a * b).flatten(2).sum(2, dtype=torch.float64).cpu().numpy()
