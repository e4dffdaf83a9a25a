"""Effective stiffness and conductivity of periodic images of isotropic phases.

Find a periodic u with div C(x) : (E + sym grad u) = 0 for each unit macroscopic strain E; then C* E = <stress>. The
effective tensor is taken from the energy in symmetric form, C*_ij = <E_i C E_j> - f_i.u_j - u_i.r_j, whose error is
quadratic in that of the fields.

Shapes in names: L load cases, C components of the displacement, K components of the strain, X and Y space.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from microdesign.errors import InputError, NotConvergedError
from microdesign.physics.conjugate_gradients import Problem, Solution, solve
from microdesign.physics.discretization import conductive_green, elastic_green, mode_weight
from microdesign.physics.materials import Materials
from microdesign.physics.stencil import flux_divergence, stress_divergence

Precision = Literal["auto", "float32", "float64"]


@dataclass(frozen=True)
class Homogenization:
    """Effective tensors of n images, float64, in the units of the materials.

    Attributes:
        stiffness: `(n, 3, 3)`, order xx, yy, xy with engineering shear.
        conductivity: `(n, 2, 2)`.
        iterations: `(n,)` int64, the most that a physics needed.
        error_estimate: `(n,)`, estimated relative error of the diagonal entries.
    """

    stiffness: np.ndarray
    conductivity: np.ndarray
    iterations: np.ndarray
    error_estimate: np.ndarray


def homogenize(
    labels: np.ndarray,
    materials: Materials,
    *,
    discretization: str = "q1",
    tolerance: float = 1e-4,
    precision: Precision = "auto",
    max_iterations: int = 2000,
) -> Homogenization:
    """Computes the effective plane stiffness and conductivity of periodic images.

    Args:
        labels: Phase labels, integers, `(n, X, Y)` or one image `(X, Y)`; axis 0 is x.
        materials: The phases; a pixel of label i is of `materials.phases[i]`.
        discretization: `q1` (one bilinear element per pixel, full integration) or `rotated` (Willot's scheme).
        tolerance: Relative error of the diagonal entries at which an image is done, in [1e-12, 0.1].
        precision: Of the fields; `auto` takes float32 up to contrast 1000 and tolerance 1e-5, else float64.
        max_iterations: Iterations after which an image counts as not converged.

    Raises:
        InputError: The labels are no images of these phases, or a setting is out of its range.
        NotConvergedError: An image did not reach the tolerance; `best` holds the `Homogenization` of all images.
    """
    labels = check_labels(labels, materials)
    weight = mode_weight(discretization)
    if not 1e-12 <= tolerance <= 0.1:
        raise InputError(f"tolerance = {tolerance} is out of range; expected 1e-12 to 0.1.")
    if max_iterations < 1:
        raise InputError(f"max_iterations = {max_iterations} is out of range; expected 1 or more.")
    dtype = _field_type(precision, materials.contrast, tolerance)
    elasticity = _Elasticity(materials, labels.shape[1:], discretization, weight, dtype)
    conduction = _Conduction(materials, labels.shape[1:], discretization, weight, dtype)
    n = len(labels)
    result = Homogenization(np.empty((n, 3, 3)), np.empty((n, 2, 2)), np.empty(n, np.int64), np.empty(n))
    for i, image in enumerate(labels):  # one at a time: a structure's fields then stay in the processor's cache
        result.stiffness[i], mechanical = elasticity.solve(image, tolerance, max_iterations)
        result.conductivity[i], thermal = conduction.solve(image, tolerance, max_iterations)
        result.iterations[i] = max(mechanical.iterations, thermal.iterations)
        result.error_estimate[i] = max(mechanical.error_estimate, thermal.error_estimate)
    failed = np.flatnonzero(~(result.error_estimate <= tolerance))
    if len(failed):
        first = failed[0]
        raise NotConvergedError(
            f"{len(failed)} of {n} images did not converge in {max_iterations} iterations; image {first} reached "
            f"a relative error of {result.error_estimate[first]:.1e}, asked was {tolerance:.1e}.",
            best=result,
        )
    return result


def check_labels(labels: np.ndarray, materials: Materials) -> np.ndarray:
    """Returns the labels as uint8 `(n, X, Y)`.

    Raises:
        InputError: They are not whole numbers, not of 2 or 3 dimensions, empty, smaller than 2 pixels along an axis,
            or outside the phases.
    """
    labels = np.asarray(labels)
    if labels.dtype.kind not in "biu":
        raise InputError(
            f"labels are of type {labels.dtype}; expected integers, the number of the phase of each pixel."
        )
    if labels.ndim not in (2, 3):
        raise InputError(f"labels have shape {labels.shape}; expected (images, X, Y) or one image (X, Y).")
    labels = labels[None] if labels.ndim == 2 else labels
    if labels.shape[0] == 0:
        raise InputError(f"labels have shape {labels.shape}, no image; expected at least one.")
    if min(labels.shape[1:]) < 2:
        raise InputError(f"images have {labels.shape[1]} x {labels.shape[2]} pixels; expected at least 2 x 2.")
    phases = len(materials.phases)
    if labels.min() < 0 or labels.max() >= phases:
        wrong = (labels < 0) | (labels >= phases)
        image = int(np.flatnonzero(wrong.any(axis=(1, 2)))[0])
        raise InputError(
            f"image {image} has label {labels[image][wrong[image]][0]}, but the materials define {phases} "
            f"phase{'s' if phases > 1 else ''} (labels 0 to {phases - 1})."
        )
    return labels.astype(np.uint8, copy=False)


class _Elasticity:
    """The elastic problem of images of one shape."""

    def __init__(self, materials: Materials, shape: tuple[int, ...], discretization: str, weight: float, dtype: str):
        moduli = materials.lame_moduli
        self.scale = float(np.abs(moduli).max())
        lam, mu = (moduli / self.scale).T
        self.lam, self.mu, self.weight, self.dtype = lam, mu, weight, dtype
        lam0, mu0 = (lam.min() + lam.max()) / 2, (mu.min() + mu.max()) / 2
        self.green = elastic_green((shape[0], shape[1]), lam0, mu0, discretization, dtype)
        self.smallest_eigenvalue = float(min(((lam + mu) / (lam0 + mu0)).min(), (mu / mu0).min()))

    def solve(self, image: np.ndarray, tolerance: float, max_iterations: int) -> tuple[np.ndarray, Solution]:
        """Returns the effective stiffness `(3, 3)` and the fields of its three load cases."""
        strain_LK, none_LK = np.eye(3, dtype=self.dtype), np.zeros((3, 3), self.dtype)
        lam_XY, mu_XY = self.lam.astype(self.dtype)[image], self.mu.astype(self.dtype)[image]

        def operator(u_LCXY: np.ndarray, out_LCXY: np.ndarray) -> None:
            stress_divergence(u_LCXY, none_LK, lam_XY, mu_XY, self.weight, out_LCXY)

        f_LCXY = np.empty((3, 2, *image.shape), self.dtype)
        stress_divergence(np.zeros_like(f_LCXY), strain_LK, lam_XY, mu_XY, self.weight, f_LCXY)
        np.negative(f_LCXY, out=f_LCXY)
        fractions = np.bincount(image.reshape(-1), minlength=len(self.lam)) / image.size
        lam, mu = fractions @ self.lam, fractions @ self.mu
        voigt = np.array([[lam + 2 * mu, lam, 0], [lam, lam + 2 * mu, 0], [0, 0, mu]])
        problem = Problem(operator, f_LCXY, self.green, np.diag(voigt).copy(), self.smallest_eigenvalue)
        solution = solve(problem, tolerance, max_iterations)
        return _effective_tensor(voigt, f_LCXY, solution) * self.scale, solution


class _Conduction:
    """The problem of conduction in images of one shape."""

    def __init__(self, materials: Materials, shape: tuple[int, ...], discretization: str, weight: float, dtype: str):
        self.scale = float(materials.conductivities.max())
        self.k = materials.conductivities / self.scale
        self.weight, self.dtype = weight, dtype
        k0 = (self.k.min() + self.k.max()) / 2
        self.green = conductive_green((shape[0], shape[1]), k0, discretization, dtype)
        self.smallest_eigenvalue = float(self.k.min() / k0)

    def solve(self, image: np.ndarray, tolerance: float, max_iterations: int) -> tuple[np.ndarray, Solution]:
        """Returns the effective conductivity `(2, 2)` and the fields of its two load cases."""
        gradient_LK, none_LK = np.eye(2, dtype=self.dtype), np.zeros((2, 2), self.dtype)
        k_XY = self.k.astype(self.dtype)[image]

        def operator(t_LCXY: np.ndarray, out_LCXY: np.ndarray) -> None:
            flux_divergence(t_LCXY[:, 0], none_LK, k_XY, self.weight, out_LCXY[:, 0])

        f_LCXY = np.empty((2, 1, *image.shape), self.dtype)
        flux_divergence(np.zeros_like(f_LCXY)[:, 0], gradient_LK, k_XY, self.weight, f_LCXY[:, 0])
        np.negative(f_LCXY, out=f_LCXY)
        fractions = np.bincount(image.reshape(-1), minlength=len(self.k)) / image.size
        voigt = fractions @ self.k * np.eye(2)
        problem = Problem(operator, f_LCXY, self.green, np.diag(voigt).copy(), self.smallest_eigenvalue)
        solution = solve(problem, tolerance, max_iterations)
        return _effective_tensor(voigt, f_LCXY, solution) * self.scale, solution


def _effective_tensor(voigt: np.ndarray, f_LCXY: np.ndarray, solution: Solution) -> np.ndarray:
    """<E_i C E_j> - f_i.u_j - u_i.r_j per pixel, made symmetric."""
    L = len(voigt)
    f, u = f_LCXY.reshape(L, -1), solution.u.reshape(L, -1)
    r = solution.residual.reshape(L, -1)
    pixels = f_LCXY.shape[-2] * f_LCXY.shape[-1]
    tensor = voigt - (f @ u.T + u @ r.T).astype(np.float64) / pixels
    return (tensor + tensor.T) / 2


def _field_type(precision: Precision, contrast: float, tolerance: float) -> str:
    if precision == "auto":
        return "float32" if contrast <= 1000 and tolerance >= 1e-5 else "float64"
    if precision not in ("float32", "float64"):
        raise InputError(f"precision = {precision!r} is unknown; expected auto, float32 or float64.")
    return precision
