"""muGrid as its users write it: Green-preconditioned CG on q1 elements, one structure and one load case at a time."""

import muGrid
import numpy as np
from muGrid.Preconditioners import FourierPreconditioner, make_reference_stiffness_preconditioner
from muGrid.Solvers import conjugate_gradients
from muGrid.Wrappers import _unwrap

PAIRS = {2: ((0, 0), (1, 1), (0, 1)), 3: ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))}


class MuGridElasticity:
    """Bilinear or trilinear elements on a periodic grid; the operator and the preconditioner are made once.

    Args:
        shape: Of the images.
        moduli: First Lame modulus (plane, in two dimensions) and shear modulus of each phase, `(P, 2)`.
        dtype: Of the fields.
    """

    def __init__(self, shape: tuple[int, ...], moduli: np.ndarray, dtype: type) -> None:
        self.dims, self.moduli = len(shape), moduli
        self.operator = muGrid.IsotropicStiffnessOperator(self.dims, [1.0] * self.dims)
        self.engine = muGrid.FFTEngine(list(shape), ghosts=1)
        self.communicator = muGrid.Communicator()
        vector = {"components": (self.dims,), "dtype": dtype}
        self.u = self.engine.real_space_field("u", **vector)
        self.f = self.engine.real_space_field("f", **vector)
        self.lam = self.engine.real_space_field("lam", dtype=dtype)
        self.mu = self.engine.real_space_field("mu", dtype=dtype)
        lambda_ref, mu_ref = (moduli.min(0) + moduli.max(0)) / 2
        self.preconditioner = make_reference_stiffness_preconditioner(
            self.engine,
            element=muGrid.FEMElement.q1,
            grid_spacing=[1.0] * self.dims,
            lambda_ref=lambda_ref,
            mu_ref=mu_ref,
            dtype=dtype,
        )

    def tensor(self, image: np.ndarray, tolerance: float) -> np.ndarray:
        """Effective stiffness, Voigt order with engineering shear; CG to a relative residual of `tolerance`."""
        for field, modulus in zip((self.lam, self.mu), self.moduli.T, strict=True):
            field.s[...] = modulus[image]
            self.engine.communicate_ghosts(field)
        pairs = PAIRS[self.dims]
        result = np.empty((len(pairs), len(pairs)))
        for column, (i, j) in enumerate(pairs):
            strain = np.zeros((self.dims, self.dims))
            strain[i, j] = strain[j, i] = 1.0 if i == j else 0.5
            load = strain.ravel().tolist()
            self.operator.apply_macro_rhs(_unwrap(self.lam), _unwrap(self.mu), load, _unwrap(self.f))
            self.f.s[...] *= -1
            self.u.s[...] = 0
            _solve(self, tolerance)
            self.engine.communicate_ghosts(self.u)
            stress = self.operator.average_stress(_unwrap(self.u), _unwrap(self.lam), _unwrap(self.mu), load)
            stress = np.reshape(stress, (self.dims, self.dims)) / image.size
            result[:, column] = [stress[pair] for pair in pairs]
        return result

    def apply(self, x: object, y: object) -> None:
        """y = K x."""
        self.engine.communicate_ghosts(x)
        self.operator.apply(x, self.lam, self.mu, y)


class MuGridConduction:
    """The same for conduction, of which muGrid has the gradient and its transpose; `moduli` is k of each phase `(P,)`.

    The preconditioner's symbol is that of q1 elements of unit conductivity, over the frequencies of the engine.
    """

    def __init__(self, shape: tuple[int, ...], moduli: np.ndarray, dtype: type) -> None:
        self.dims, self.moduli = len(shape), moduli
        self.gradient = muGrid.FEMGradientOperator(self.dims, [1.0] * self.dims, dtype=dtype)
        points = 2**self.dims
        self.engine = muGrid.FFTEngine(list(shape), ghosts=1, nb_sub_pts={"gauss": points})
        self.communicator = muGrid.Communicator()
        self.u = self.engine.real_space_field("u", dtype=dtype)
        self.f = self.engine.real_space_field("f", dtype=dtype)
        self.flux = self.engine.real_space_field("flux", components=(self.dims,), sub_pt="gauss", dtype=dtype)
        self.k = np.empty(shape, dtype)
        k_ref = (moduli.min() + moduli.max()) / 2
        self.preconditioner = FourierPreconditioner(
            self.engine, lambda engine: _inverse_symbol(engine.fftfreq) / k_ref, dtype=dtype
        )

    def tensor(self, image: np.ndarray, tolerance: float) -> np.ndarray:
        """Effective conductivity `(d, d)`; CG to a relative residual of `tolerance`."""
        self.k[...] = self.moduli[image]
        result = np.empty((self.dims, self.dims))
        for column in range(self.dims):
            self.flux.s[...] = 0
            self.flux.s[column] = -self.k
            self._divergence(self.f)
            self.u.s[...] = 0
            _solve(self, tolerance)
            self._gradient(self.u)
            self.flux.s[column] += 1
            self.flux.s[...] *= self.k
            result[:, column] = self.flux.s.reshape(self.dims, -1).mean(1, dtype=np.float64)
        return result

    def apply(self, x: object, y: object) -> None:
        """y = K x."""
        self._gradient(x)
        self.flux.s[...] *= self.k
        self._divergence(y)

    def _gradient(self, x: object) -> None:
        self.engine.communicate_ghosts(x)
        self.gradient.apply(x, self.flux)

    def _divergence(self, y: object) -> None:
        self.engine.communicate_ghosts(self.flux)
        self.gradient.transpose(self.flux, y)


def _inverse_symbol(frequencies: np.ndarray) -> np.ndarray:
    """1 / sum_j D_j^2 prod_(i != j) (1 - D_i^2 / 6), D = 2 sin(pi q): stiffness along j, consistent masses across."""
    squares = 4 * np.sin(np.pi * np.asarray(frequencies)) ** 2
    masses = 1 - squares / 6
    symbol = sum(squares[j] * np.delete(masses, j, 0).prod(0) for j in range(len(squares)))
    return np.divide(1, symbol, out=np.zeros_like(symbol), where=symbol > 0)


def _solve(problem: MuGridElasticity | MuGridConduction, tolerance: float) -> None:
    conjugate_gradients(
        problem.communicator,
        problem.engine.real_space_collection,
        problem.f,
        problem.u,
        problem.apply,
        problem.preconditioner,
        rtol=tolerance,
        maxiter=3000,
    )
