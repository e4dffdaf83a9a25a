"""Materials: the isotropic phases that the labels of an image stand for."""

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from microdesign.config import Config, load_config
from microdesign.files import digest_json

Plane = Literal["stress", "strain"]


class Phase(Config):
    """One isotropic phase, in the user's units."""

    E: float = Field(gt=0, allow_inf_nan=False)
    """Young's modulus."""
    nu: float = Field(gt=-1, lt=0.5, allow_inf_nan=False)
    """Poisson's ratio (of the three-dimensional solid)."""
    k: float = Field(gt=0, allow_inf_nan=False)
    """Conductivity."""


class Units(Config):
    """Names of the user's units; they are stated back and never converted."""

    E: str = "as E in the materials"
    """Unit of the moduli."""
    k: str = "as k in the materials"
    """Unit of the conductivities."""


class Materials(Config):
    """The phases of an image and the plane assumption; the position of a phase is its label."""

    plane: Plane = "stress"
    """`stress` for a thin sheet, `strain` for a section of a long body."""
    phases: tuple[Phase, ...] = Field(min_length=1, max_length=256)
    """Phase of label 0, of label 1 and so on."""
    units: Units = Units()
    """Names of the units of E and k."""

    @property
    def lame_moduli(self) -> np.ndarray:
        """Plane Lame moduli (lambda, mu) of each phase, `(P, 2)` float64."""
        return np.array([lame(phase.E, phase.nu, self.plane) for phase in self.phases])

    @property
    def conductivities(self) -> np.ndarray:
        """Conductivity of each phase, `(P,)` float64."""
        return np.array([phase.k for phase in self.phases])

    @property
    def contrast(self) -> float:
        """The largest ratio between phases of the plane bulk modulus, of the shear modulus or of the conductivity."""
        lam, mu = self.lame_moduli.T
        return max(float(values.max() / values.min()) for values in (lam + mu, mu, self.conductivities))

    @property
    def digest(self) -> str:
        """Digest of what effective properties depend on: plane and phases, not the names of the units."""
        return digest_json(self.model_dump(mode="json", exclude={"units"}))


def lame(E: float, nu: float, plane: Plane) -> tuple[float, float]:
    """Returns the Lame moduli (lambda, mu) of the plane problem, in the unit of `E`.

    Plane strain keeps the solid's own lambda = E nu / ((1 + nu)(1 - 2 nu)); plane stress has
    2 lambda mu / (lambda + 2 mu) = E nu / (1 - nu^2) instead. mu = E / (2 (1 + nu)) in both.
    """
    mu = E / (2 * (1 + nu))
    if plane == "stress":
        return E * nu / (1 - nu**2), mu
    return E * nu / ((1 + nu) * (1 - 2 * nu)), mu


def load_materials(path: str | Path) -> Materials:
    """Reads materials from a YAML file: `plane: stress`, `phases: [{E: 1000, nu: 0.3, k: 1}, ...]`.

    Raises:
        InputError: The file cannot be read, or a field is unknown, missing or out of its range.
    """
    return load_config(Materials, path)
