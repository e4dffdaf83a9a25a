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

import numpy as np

from microdesign.core.errors import InputError
from microdesign.physics.materials import Materials
from microdesign.physics.solver.array_iterates import Problem, Solution, solve
from microdesign.physics.solver.conjugate_gradients import VANISHING
from microdesign.physics.solver.discretization import (
    Matrix,
    conductive_green,
    elastic_green,
    finite_volume_green,
    hourglass,
)
from microdesign.physics.solver.stencils import general as stencil_tensors
from microdesign.physics.solver.stencils import plane as stencil
from microdesign.physics.solver.stencils import voxel as stencil_3d
from microdesign.physics.tensors import PAIRS, deviatoric_part, isotropic_stiffness

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
    """

    components: int
    green: np.ndarray

    def __init__(self, tensors: np.ndarray, stretch: np.ndarray, spacing: np.ndarray, dtype: str) -> None:
        self.scale = float(np.abs(tensors).max())
        self.tensors = tensors / self.scale * stretch[:, None] * stretch
        self.loads = np.diag(1 / stretch)
        self.spacing, self.dtype = spacing, dtype
        self.cubic = bool(np.ptp(spacing) == 0 and spacing[0] == 1)

    def reference(self, isotropic: np.ndarray | None) -> np.ndarray:
        """Returns the tensor of the homogeneous medium: midway between isotropic phases, else the mean of the phases.

        It also sets `smallest_eigenvalue`, the least ratio of a phase's energy to the reference's.
        """
        reference = self.tensors.mean(axis=0) if isotropic is None else isotropic
        ratios = [_smallest_ratio(tensor, reference) for tensor in self.tensors if tensor.any()]
        voids = any(not tensor.any() for tensor in self.tensors)
        self.smallest_eigenvalue = 0.0 if voids else float(min(ratios))
        return reference

    @abstractmethod
    def divergence(self, image: np.ndarray) -> Divergence:
        """Returns the operator of one image."""

    def mean_tensor(self, image: np.ndarray) -> np.ndarray:
        """Returns <C> of one image, `(K, K)`, for macroscopic strains in the user's space.

        Raises:
            InputError: The image has only voids.
        """
        fractions = np.bincount(image.reshape(-1), minlength=len(self.tensors)) / image.size
        if not self.tensors[fractions > 0].any():
            raise InputError("the image has only voids; expected some solid.")
        return self.loads @ np.tensordot(fractions, self.tensors, 1) @ self.loads

    def in_units(self, tensor: np.ndarray, voigt: np.ndarray) -> np.ndarray:
        """Returns an effective tensor in the user's units, made symmetric; loads that the solid cannot carry get 0."""
        tensor = (tensor + tensor.T) / 2
        if self.smallest_eigenvalue == 0:
            lost = np.diag(tensor) < 2 * VANISHING * np.diag(voigt)
            tensor[lost] = tensor[:, lost] = 0
        return tensor * self.scale

    def solve(
        self, image: np.ndarray, tolerance: float, max_iterations: int, start: np.ndarray | None = None
    ) -> tuple[np.ndarray, Solution]:
        """Returns the effective tensor `(K, K)` and the fields of the load cases, `u` in the user's space.

        Args:
            image: Labels, `(*S)`.
            tolerance: Relative error of the diagonal entries.
            max_iterations: Of each load case.
            start: Fields to begin with, `(L, C, *S)`.

        Raises:
            InputError: The image has only voids, or `start` is not of the fields' shape.
        """
        divergence = self.divergence(image)
        loads_LK = self.loads.astype(self.dtype)
        f_LCS = np.empty((len(loads_LK), self.components, *image.shape), self.dtype)
        divergence(np.zeros_like(f_LCS), loads_LK, f_LCS)
        np.negative(f_LCS, out=f_LCS)
        if start is not None and start.shape != f_LCS.shape:
            raise InputError(f"start has a field of shape {start.shape}; expected {f_LCS.shape}.")
        none_LK = np.zeros_like(loads_LK)

        def operator(u_LCS: np.ndarray, out_LCS: np.ndarray) -> None:
            divergence(u_LCS, none_LK[: len(u_LCS)], out_LCS)

        voigt = self.mean_tensor(image)
        problem = Problem(operator, f_LCS, self.green, np.diag(voigt).copy(), self.smallest_eigenvalue)
        spacing_CS = (self.spacing if self.components > 1 else np.ones(1)).reshape(-1, *[1] * image.ndim)
        solution = solve(problem, tolerance, max_iterations, None if start is None else start * spacing_CS)
        tensor = self.in_units(_effective_tensor(voigt, f_LCS, solution), voigt)
        if not self.cubic:
            solution.u[:] /= spacing_CS.astype(self.dtype)
        return tensor, solution


class Elasticity(Equations):
    """The elastic problem of images of one shape.

    Args:
        materials: The phases.
        shape: Of the images.
        spacing: Edge lengths of a pixel or voxel, `(d,)`.
        discretization: Any; `fv` is `q1` here.
        dtype: Of the fields.

    Raises:
        InputError: `q1bbar` does not fit the materials.
    """

    def __init__(
        self, materials: Materials, shape: tuple[int, ...], spacing: np.ndarray, discretization: str, dtype: str
    ) -> None:
        dims = len(shape)
        tensors = materials.stiffness_tensors(dims)
        assert tensors is not None
        stretch = np.array([1 / (spacing[a] * spacing[b]) for a, b in PAIRS[dims]])
        super().__init__(tensors, stretch, spacing, dtype)
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
            midway_hourglass = self.hourglass_tensors.mean(axis=0)
        self.green = elastic_green(shape, _key(reference), _key(midway_hourglass), self.hourglass.weight, dtype)

    def divergence(self, image: np.ndarray) -> Divergence:
        """Returns the operator of one image: written out for isotropic phases on cubic voxels, else from tables."""
        if self.lame is not None and self.cubic:
            lam_S, mu_S = (moduli.astype(self.dtype)[image] for moduli in self.lame.T)
            fused = stencil.stress_divergence if image.ndim == 2 else stencil_3d.stress_divergence
            weights = (
                self.hourglass.weight,
                self.hourglass.of_lam,
                self.hourglass.of_mu,
            )  # numba takes longer to recognise a named one
            return lambda u, strain, out: fused(u, strain, lam_S, mu_S, weights, out)
        return _from_tables(image, self.tensors, self.hourglass_tensors, self.hourglass.weight, self.terms, self.dtype)


class Conduction(Equations):
    """The problem of conduction in images of one shape; arguments as of `Elasticity`, `q1bbar` is `q1` here.

    Raises:
        InputError: `fv` does not fit the materials.
    """

    def __init__(
        self, materials: Materials, shape: tuple[int, ...], spacing: np.ndarray, discretization: str, dtype: str
    ) -> None:
        dims = len(shape)
        tensors = materials.conductivity_tensors(dims)
        assert tensors is not None
        super().__init__(tensors, 1 / spacing, spacing, dtype)
        self.components, self.weight = 1, hourglass(discretization).weight
        self.terms = stencil_tensors.terms(dims, elastic=False)
        self.finite_volume = discretization == "fv"
        if self.finite_volume and (tensors * (1 - np.eye(dims))).any():
            raise InputError("discretization = 'fv' takes conductivities without off-diagonal entries.")
        self.k, midway = None, None
        if materials.isotropic:
            self.k = materials.conductivities / self.scale
            midway = (self.k.min() + self.k.max()) / 2 * np.diag(1 / spacing**2)
        reference = _key(self.reference(midway))
        self.green = (
            finite_volume_green(shape, reference, dtype)
            if self.finite_volume
            else conductive_green(shape, reference, self.weight, dtype)
        )

    def divergence(self, image: np.ndarray) -> Divergence:
        """Returns the operator of one image: written out for isotropic phases on cubic voxels, else from tables."""
        if self.finite_volume:
            faces = self._faces(image).astype(self.dtype)

            def operator(t: np.ndarray, gradient: np.ndarray, out: np.ndarray) -> None:
                padded = np.pad(gradient, ((0, 0), (3 - image.ndim, 0)))
                volume = faces.shape[1:]
                stencil_tensors.finite_volume_divergence(
                    t.reshape(len(t), *volume), padded, faces, out.reshape(len(t), *volume)
                )

            return operator
        if self.k is not None and self.cubic:
            k_S = self.k.astype(self.dtype)[image]
            fused = stencil.flux_divergence if image.ndim == 2 else stencil_3d.flux_divergence
            return lambda t, gradient, out: fused(t[:, 0], gradient, k_S, self.weight, out[:, 0])
        return _from_tables(image, self.tensors, self.tensors, self.weight, self.terms, self.dtype)

    def mean_tensor(self, image: np.ndarray) -> np.ndarray:
        """Returns <k> of one image, `(d, d)`; for finite volumes the mean over the faces across each axis."""
        means = super().mean_tensor(image)
        if not self.finite_volume:
            return means
        means = self._faces(image).mean(axis=(1, 2, 3))[3 - image.ndim :]
        return self.loads @ np.diag(means) @ self.loads

    def _faces(self, image: np.ndarray) -> np.ndarray:
        diagonal_PK = np.diagonal(self.tensors, axis1=1, axis2=2)
        k_KS = np.moveaxis(diagonal_PK[_as_volume(image)], -1, 0)
        return stencil_tensors.harmonic_faces(np.concatenate([k_KS[:1]] * (3 - len(k_KS)) + [k_KS]))


def _from_tables(
    image: np.ndarray,
    tensors: np.ndarray,
    hourglass_tensors: np.ndarray,
    weight: float,
    terms: stencil_tensors.Terms,
    dtype: str,
) -> Divergence:
    volume = np.ascontiguousarray(_as_volume(image))
    first, second = tensors.astype(dtype), hourglass_tensors.astype(dtype)

    def operator(u: np.ndarray, strain: np.ndarray, out: np.ndarray) -> None:
        shape = (*u.shape[:2], *volume.shape)
        stencil_tensors.divergence(u.reshape(shape), strain, volume, first, second, weight, terms, out.reshape(shape))

    return operator


def _as_volume(image: np.ndarray) -> np.ndarray:
    return image if image.ndim == 3 else image[None]


def _key(tensor: np.ndarray) -> Matrix:
    return tuple(tuple(float(value) for value in row) for row in tensor)


def _effective_tensor(voigt: np.ndarray, f_LCS: np.ndarray, solution: Solution) -> np.ndarray:
    """<E_i C E_j> - f_i.u_j - u_i.r_j per pixel."""
    L = len(voigt)
    f, u = f_LCS.reshape(L, -1), solution.u.reshape(L, -1)
    r = solution.residual.reshape(L, -1)
    pixels = f_LCS[0, 0].size
    return voigt - (f @ u.T + u @ r.T).astype(np.float64) / pixels


def _smallest_ratio(tensor: np.ndarray, reference: np.ndarray) -> float:
    """The smallest eigenvalue of reference^-1 tensor, both symmetric, from L^-1 tensor L^-T with L L^T = reference."""
    inverse = np.linalg.inv(np.linalg.cholesky(reference))
    return float(np.linalg.eigvalsh(inverse @ tensor @ inverse.T)[0])
