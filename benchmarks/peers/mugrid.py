"""Elasticity with muGrid as its users write it: Green-preconditioned CG, one structure and one load case at a time."""

import muGrid
import numpy as np
from muGrid.Preconditioners import make_reference_stiffness_preconditioner
from muGrid.Solvers import conjugate_gradients
from muGrid.Wrappers import _unwrap

PAIRS = {2: ((0, 0), (1, 1), (0, 1)), 3: ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))}


class MuGridElasticity:
    """Bilinear or trilinear elements on a periodic grid; the operator and the preconditioner are made once.

    Args:
        shape: Of the images.
        lam: First Lame modulus of each phase (plane, in two dimensions).
        mu: Shear modulus of each phase.
        dtype: Of the fields.
    """

    def __init__(self, shape: tuple[int, ...], lam: np.ndarray, mu: np.ndarray, dtype: type) -> None:
        self.dims, self.moduli = len(shape), (lam, mu)
        self.operator = muGrid.IsotropicStiffnessOperator(self.dims, [1.0] * self.dims)
        self.engine = muGrid.FFTEngine(list(shape), ghosts=1)
        self.communicator = muGrid.Communicator()
        vector = {"components": (self.dims,), "dtype": dtype}
        self.u = self.engine.real_space_field("u", **vector)
        self.f = self.engine.real_space_field("f", **vector)
        self.lam = self.engine.real_space_field("lam", dtype=dtype)
        self.mu = self.engine.real_space_field("mu", dtype=dtype)
        self.preconditioner = make_reference_stiffness_preconditioner(
            self.engine,
            element=muGrid.FEMElement.q1,
            grid_spacing=[1.0] * self.dims,
            lambda_ref=(lam.min() + lam.max()) / 2,
            mu_ref=(mu.min() + mu.max()) / 2,
            dtype=dtype,
        )

    def stiffness(self, image: np.ndarray, tolerance: float) -> np.ndarray:
        """Effective stiffness, Voigt order with engineering shear; CG to a relative residual of `tolerance`."""
        for field, modulus in zip((self.lam, self.mu), self.moduli, strict=True):
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
            conjugate_gradients(
                self.communicator,
                self.engine.real_space_collection,
                self.f,
                self.u,
                self._apply,
                self.preconditioner,
                rtol=tolerance,
                maxiter=3000,
            )
            self.engine.communicate_ghosts(self.u)
            stress = self.operator.average_stress(_unwrap(self.u), _unwrap(self.lam), _unwrap(self.mu), load)
            stress = np.reshape(stress, (self.dims, self.dims)) / image.size
            result[:, column] = [stress[pair] for pair in pairs]
        return result

    def _apply(self, x: object, y: object) -> None:
        self.engine.communicate_ghosts(x)
        self.operator.apply(x, self.lam, self.mu, y)
