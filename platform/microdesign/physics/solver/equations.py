"""The equations of elasticity and of conduction in images of one shape: from phases and labels to effective tensors.

Find a periodic u with div C(x) : (E + sym grad u) = 0 for each unit macroscopic strain E; then C* E = <stress>.
Discrete: K u = f with K = B^T C B and f = -B^T C E. The effective tensor is taken from the energy in symmetric form,
C*_ij = <E_i C E_j> - f_i.u_j - u_i.r_j, whose error is quadratic in that of the fields. Conduction has the same form,
with the temperature gradient for the strain and the conductivity for C.

Shapes in names: L load cases, C components of the displacement, K components of the strain (L = K), P phases, d
dimensions, S all of space: (X, Y) or (X, Y, Z).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from microdesign.core.errors import InputError
from microdesign.physics.materials import Materials
from microdesign.physics.solver.array_iterates import Problem, Solution, solve
from microdesign.physics.solver.boundary import LoadCases, coupled, load_cases, without_wrap
from microdesign.physics.solver.conjugate_gradients import VANISHING
from microdesign.physics.solver.discretization import (
    Matrix,
    conductive_green,
    elastic_green,
    finite_volume_green,
    hourglass,
)
from microdesign.physics.solver.green import GreenOperator
from microdesign.physics.solver.mirror_green import MirrorGreenOperator
from microdesign.physics.solver.stencils import general as stencil_tensors
from microdesign.physics.solver.stencils import plane as stencil
from microdesign.physics.solver.stencils import voxel as stencil_3d
from microdesign.physics.tensors import PAIRS, deviatoric_part, isotropic_stiffness

_SUMMED = 2**20
"""Values that are added up in the fields' own precision, before the sums are in float64."""
Divergence = Callable[[np.ndarray, np.ndarray, np.ndarray], None]
"""`divergence(u_LCS, strain_LK, out_LCS)` writes B^T C (E + B u)."""


class Equations(ABC):
    """What elasticity and conduction have in common.

    Attributes:
        tensors: Stiffness or conductivity of each phase, divided by `scale`, for unit voxels: `(P, K, K)`.
        scale: The largest entry, in the user's units.
        loads: Macroscopic strains that are 1 in the user's space, in that of unit voxels: diagonal `(L, K)`.
        components: C.
        green: Inverse of K0, see `discretization`.
        boundary: `periodic` or `mirror`.
        cases: The loads that are solved together, see `boundary`.
        coupled: Which entries of the effective tensor do not vanish by the mirrors' symmetry, `(K, K)`.
        centred: Whether the field's nodes are the pixels' centres.
    """

    components: int
    green: np.ndarray
    centred = False

    def __init__(
        self,
        tensors: np.ndarray,
        stretch: np.ndarray,
        spacing: np.ndarray,
        dtype: str,
        boundary: str,
        cases: tuple[LoadCases, ...],
    ) -> None:
        self.scale = float(np.abs(tensors).max())
        self.tensors = tensors / self.scale * stretch[:, None] * stretch
        self.loads = np.diag(1 / stretch)
        self.spacing, self.dtype = spacing, dtype
        self.cubic = bool(np.ptp(spacing) == 0 and spacing[0] == 1)
        self.boundary, self.cases, self.coupled = boundary, cases, coupled(cases)

    def nodes(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Returns the number of nodes along each axis: of pixels, and with mirrors one more, the far face."""
        return shape if self.centred or self.boundary == "periodic" else tuple(size + 1 for size in shape)

    def reference(self, isotropic: np.ndarray | None) -> np.ndarray:
        """Returns the tensor of the homogeneous medium: midway between isotropic phases, else the mean of the phases.

        It also sets `smallest_eigenvalue`, the least ratio of a phase's energy to the reference's.
        """
        reference = self.tensors.mean(axis=0) * self.coupled if isotropic is None else isotropic
        ratios = [_smallest_ratio(tensor, reference) for tensor in self.tensors if tensor.any()]
        voids = any(not tensor.any() for tensor in self.tensors)
        self.smallest_eigenvalue = 0.0 if voids else float(min(ratios))
        return reference

    @abstractmethod
    def divergence(self, image: np.ndarray) -> Divergence:
        """Returns the operator of one image."""

    def mean_tensor(self, image: np.ndarray) -> np.ndarray:
        """Returns <C> of one image, `(K, K)`, for macroscopic strains in the user's space; of voids alone it is 0."""
        fractions = np.bincount(image.reshape(-1), minlength=len(self.tensors)) / image.size
        return self.loads @ (np.tensordot(fractions, self.tensors, 1) * self.coupled) @ self.loads

    def in_units(self, tensor: np.ndarray, voigt: np.ndarray) -> np.ndarray:
        """Returns an effective tensor in the user's units, made symmetric; loads that the solid cannot carry get 0."""
        tensor = (tensor + tensor.T) / 2
        if self.smallest_eigenvalue == 0:
            lost = np.diag(tensor) < 2 * VANISHING * np.diag(voigt)
            tensor[lost] = tensor[:, lost] = 0
        return tensor * self.scale

    def solve(
        self,
        image: np.ndarray,
        tolerance: float,
        max_iterations: int,
        start: np.ndarray | None = None,
        keep_fields: bool = True,
    ) -> tuple[np.ndarray, Solution]:
        """Returns the effective tensor `(K, K)` and the fields of the load cases, `u` in the user's space.

        Args:
            image: Labels, `(*S)`.
            tolerance: Relative error of the diagonal entries.
            max_iterations: Of each load case.
            start: Fields to begin with, `(L, C, *nodes)`.
            keep_fields: Whether the solution holds the fields; those of mirrored images are then all in memory at once.

        Raises:
            InputError: `start` is not of the fields' shape.
        """
        voigt, divergence = self.mean_tensor(image), self.divergence(image)
        shape = (len(self.loads), self.components, *self.nodes(image.shape))
        if start is not None and start.shape != shape:
            raise InputError(f"start has a field of shape {start.shape}; expected {shape}.")
        tensor, solutions = np.zeros_like(voigt), []
        for case in self.cases:
            block, begin = (case.loads, case.loads), None if start is None else start[case.loads]
            equations = self._with_walls(divergence, image, case)
            tensor[block], solution = self._solve_case(
                image, equations, case, voigt[block], tolerance, max_iterations, begin
            )
            none = solution.u[:0]
            solutions.append(solution if keep_fields else replace(solution, u=none, residual=none))
            del solution
        if len(solutions) == 1:
            return self.in_units(tensor, voigt), solutions[0]
        return self.in_units(tensor, voigt), Solution(
            np.concatenate([each.u for each in solutions]),
            np.concatenate([each.residual for each in solutions]),
            max(each.iterations for each in solutions),
            max(each.error_estimate for each in solutions),
        )

    def _solve_case(
        self,
        image: np.ndarray,
        divergence: Divergence,
        case: LoadCases,
        voigt: np.ndarray,
        tolerance: float,
        max_iterations: int,
        start: np.ndarray | None,
    ) -> tuple[np.ndarray, Solution]:
        """Solves the loads of one case: their block of the tensor, and their fields."""
        loads_LK = self.loads[case.loads].astype(self.dtype)
        f_LCS = np.empty((len(loads_LK), self.components, *self.nodes(image.shape)), self.dtype)
        divergence(np.zeros_like(f_LCS), loads_LK, f_LCS)
        np.negative(f_LCS, out=f_LCS)
        none_LK = np.zeros_like(loads_LK)

        def operator(u_LCS: np.ndarray, out_LCS: np.ndarray) -> None:
            divergence(u_LCS, none_LK[: len(u_LCS)], out_LCS)

        def preconditioner(shape: tuple[int, ...], dtype: np.dtype) -> Callable[[np.ndarray, np.ndarray], None]:
            if case.odd is None:
                return GreenOperator(self.green, shape, dtype)
            return MirrorGreenOperator(self.green, case.odd, self.centred)

        problem = Problem(operator, f_LCS, preconditioner, np.diag(voigt).copy(), image.size, self.smallest_eigenvalue)
        spacing_CS = (self.spacing if self.components > 1 else np.ones(1)).reshape(-1, *[1] * image.ndim)
        solution = solve(problem, tolerance, max_iterations, None if start is None else start * spacing_CS)
        tensor = _effective_tensor(voigt, f_LCS, solution, image.size)
        if not self.cubic:
            solution.u[:] /= spacing_CS.astype(self.dtype)
        return tensor, solution

    def _with_walls(self, divergence: Divergence, image: np.ndarray, case: LoadCases) -> Divergence:
        """The operator with what the faces of a mirrored image add to it; of elements nothing."""
        return divergence

    def _from_tables(
        self,
        image: np.ndarray,
        hourglass_tensors: np.ndarray,
        weight: float,
        terms: stencil_tensors.Terms,
    ) -> Divergence:
        """The operator of one image for any phases, by loops over tables."""
        first, second = (np.append(t, t[:1] * 0, axis=0).astype(self.dtype) for t in (self.tensors, hourglass_tensors))
        wide = image if len(self.tensors) < 256 else image.astype(np.uint16)
        volume = np.ascontiguousarray(_as_volume(without_wrap(wide, self.boundary, fill=len(self.tensors))))

        def operator(u: np.ndarray, strain: np.ndarray, out: np.ndarray) -> None:
            shape = (*u.shape[:2], *volume.shape)
            stencil_tensors.divergence(
                u.reshape(shape), strain, volume, first, second, weight, terms, out.reshape(shape)
            )

        return operator


class Elasticity(Equations):
    """The elastic problem of images of one shape.

    Args:
        materials: The phases.
        shape: Of the images.
        spacing: Edge lengths of a pixel or voxel, `(d,)`.
        discretization: Any; `fv` is `q1` here.
        dtype: Of the fields.
        boundary: `periodic` or `mirror`.

    Raises:
        InputError: `q1bbar` does not fit the materials.
    """

    def __init__(
        self,
        materials: Materials,
        shape: tuple[int, ...],
        spacing: np.ndarray,
        discretization: str,
        dtype: str,
        boundary: str = "periodic",
    ) -> None:
        dims = len(shape)
        tensors = materials.stiffness_tensors(dims)
        assert tensors is not None
        stretch = np.array([1 / (spacing[a] * spacing[b]) for a, b in PAIRS[dims]])
        super().__init__(tensors, stretch, spacing, dtype, boundary, load_cases(dims, True, boundary))
        self.components, self.hourglass = dims, hourglass(discretization)
        self.terms = stencil_tensors.terms(dims, elastic=True)
        mean_dilatation = discretization == "q1bbar"
        if mean_dilatation and dims == 2 and (materials.plane == "stress" or not materials.isotropic):
            raise InputError(
                "discretization = 'q1bbar' is for volumes and for plane strain of phases given by E, nu and k; "
                "a thin sheet does not lock."
            )
        self.lame = None
        midway, midway_hourglass = None, None
        if materials.isotropic:
            self.lame = materials.lame_moduli_of(dims) / self.scale
            lam, mu = (self.lame.min(axis=0) + self.lame.max(axis=0)) / 2
            midway = isotropic_stiffness(lam, mu, dims) * stretch[:, None] * stretch
            _, of_lam, of_mu = self.hourglass
            midway_hourglass = isotropic_stiffness(of_lam * lam + of_mu * mu, mu, dims) * stretch[:, None] * stretch
            self.hourglass_tensors = np.array(
                [isotropic_stiffness(of_lam * lam + of_mu * mu, mu, dims) for lam, mu in self.lame]
            )
            self.hourglass_tensors *= stretch[:, None] * stretch
        elif mean_dilatation:
            deviators = np.array([deviatoric_part(tensor) for tensor in tensors])
            self.hourglass_tensors = deviators / self.scale * stretch[:, None] * stretch
        else:
            self.hourglass_tensors = self.tensors
        reference = self.reference(midway)
        if midway_hourglass is None:
            midway_hourglass = self.hourglass_tensors.mean(axis=0) * self.coupled
        self.green = elastic_green(
            shape, _key(reference), _key(midway_hourglass), self.hourglass.weight, dtype, boundary
        )

    def divergence(self, image: np.ndarray) -> Divergence:
        """Returns the operator of one image: written out for isotropic phases on cubic voxels, else from tables."""
        if self.lame is not None and self.cubic:
            lam_S, mu_S = (without_wrap(moduli.astype(self.dtype)[image], self.boundary) for moduli in self.lame.T)
            fused = stencil.stress_divergence if image.ndim == 2 else stencil_3d.stress_divergence
            weights = (
                self.hourglass.weight,
                self.hourglass.of_lam,
                self.hourglass.of_mu,
            )  # numba takes longer to recognise a named one
            return lambda u, strain, out: fused(u, strain, lam_S, mu_S, weights, out)
        return self._from_tables(image, self.hourglass_tensors, self.hourglass.weight, self.terms)


class Conduction(Equations):
    """The problem of conduction in images of one shape; arguments as of `Elasticity`, `q1bbar` is `q1` here.

    Raises:
        InputError: `fv` does not fit the materials.
    """

    def __init__(
        self,
        materials: Materials,
        shape: tuple[int, ...],
        spacing: np.ndarray,
        discretization: str,
        dtype: str,
        boundary: str = "periodic",
    ) -> None:
        dims = len(shape)
        tensors = materials.conductivity_tensors(dims)
        assert tensors is not None
        super().__init__(tensors, 1 / spacing, spacing, dtype, boundary, load_cases(dims, False, boundary))
        self.components, self.weight = 1, hourglass(discretization).weight
        self.terms = stencil_tensors.terms(dims, elastic=False)
        self.finite_volume = self.centred = discretization == "fv"
        if self.finite_volume and (tensors * (1 - np.eye(dims))).any():
            raise InputError("discretization = 'fv' takes conductivities without off-diagonal entries.")
        self.k, midway = None, None
        if materials.isotropic:
            self.k = materials.conductivities / self.scale
            midway = (self.k.min() + self.k.max()) / 2 * np.diag(1 / spacing**2)
        reference = _key(self.reference(midway))
        self.green = (
            finite_volume_green(shape, reference, dtype, boundary)
            if self.finite_volume
            else conductive_green(shape, reference, self.weight, dtype, boundary)
        )

    def divergence(self, image: np.ndarray) -> Divergence:
        """Returns the operator of one image: written out for isotropic phases on cubic voxels, else from tables."""
        if self.finite_volume:
            faces = self._faces(image)

            def operator(t: np.ndarray, gradient: np.ndarray, out: np.ndarray) -> None:
                padded = np.pad(gradient, ((0, 0), (3 - image.ndim, 0)))
                volume = faces.shape[1:]
                stencil_tensors.finite_volume_divergence(
                    t.reshape(len(t), *volume), padded, faces, out.reshape(len(t), *volume)
                )

            return operator
        if self.k is not None and self.cubic:
            k_S = without_wrap(self.k.astype(self.dtype)[image], self.boundary)
            fused = stencil.flux_divergence if image.ndim == 2 else stencil_3d.flux_divergence
            return lambda t, gradient, out: fused(t[:, 0], gradient, k_S, self.weight, out[:, 0])
        return self._from_tables(image, self.tensors, self.weight, self.terms)

    def mean_tensor(self, image: np.ndarray) -> np.ndarray:
        """Returns <k> of one image, `(d, d)`; for finite volumes the mean over the faces across each axis."""
        if not self.finite_volume:
            return super().mean_tensor(image)
        means = self._faces(image).mean(axis=(1, 2, 3), dtype=np.float64)[3 - image.ndim :]
        if self.boundary == "mirror":  # each outer face belongs to two images
            walls = [self._outer_layers(image, axis) for axis in range(image.ndim)]
            means += [sum(k.mean() for k in pair) / (2 * image.shape[axis]) for axis, pair in enumerate(walls)]
        return self.loads @ np.diag(means) @ self.loads

    def _with_walls(self, divergence: Divergence, image: np.ndarray, case: LoadCases) -> Divergence:
        """With finite volumes and mirrors, adds the flux through the isothermal faces, half a cell from the centres.

        The cell beyond such a face mirrors the one before it, its temperature is the opposite.
        """
        if not self.finite_volume or case.odd is None:
            return divergence
        axis = case.odd[0].index(True)
        first, last = (k.astype(self.dtype) for k in self._outer_layers(image, axis))

        def operator(t: np.ndarray, gradient: np.ndarray, out: np.ndarray) -> None:
            divergence(t, gradient, out)
            layers, out_layers = np.moveaxis(t[0, 0], axis, 0), np.moveaxis(out[0, 0], axis, 0)
            out_layers[0] += first * (gradient[0, axis] + 2 * layers[0])
            out_layers[-1] -= last * (gradient[0, axis] - 2 * layers[-1])

        return operator

    def _outer_layers(self, image: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
        """Conductivity along an axis of the cells at its two faces."""
        k_P = self.tensors[:, axis, axis]
        return k_P[image.take(0, axis)], k_P[image.take(-1, axis)]

    def _faces(self, image: np.ndarray) -> np.ndarray:
        k_PK = np.diagonal(self.tensors, axis1=1, axis2=2)
        k_P3 = k_PK[:, [0] * (3 - image.ndim) + list(range(image.ndim))]
        return stencil_tensors.harmonic_faces(_as_volume(image), k_P3, self.dtype, closed=self.boundary == "mirror")


def _as_volume(image: np.ndarray) -> np.ndarray:
    return image if image.ndim == 3 else image[None]


def _key(tensor: np.ndarray) -> Matrix:
    return tuple(tuple(float(value) for value in row) for row in tensor)


def _effective_tensor(voigt: np.ndarray, f_LCS: np.ndarray, solution: Solution, pixels: int) -> np.ndarray:
    """<E_i C E_j> - f_i.u_j - u_i.r_j per pixel."""
    f, u, r = (field.reshape(len(voigt), -1) for field in (f_LCS, solution.u, solution.residual))
    work = np.zeros_like(voigt)
    for first in range(0, f.shape[1], _SUMMED):
        part = slice(first, first + _SUMMED)
        work += f[:, part] @ u[:, part].T + u[:, part] @ r[:, part].T
    return voigt - work / pixels


def _smallest_ratio(tensor: np.ndarray, reference: np.ndarray) -> float:
    """The smallest eigenvalue of reference^-1 tensor, both symmetric, from L^-1 tensor L^-T with L L^T = reference."""
    inverse = np.linalg.inv(np.linalg.cholesky(reference))
    return float(np.linalg.eigvalsh(inverse @ tensor @ inverse.T)[0])
