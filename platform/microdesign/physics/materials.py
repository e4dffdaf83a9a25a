"""Materials: the phases that the labels of an image stand for."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from microdesign.core.config import Config, load_config, validate_config
from microdesign.core.errors import InputError
from microdesign.core.files import digest_json
from microdesign.physics.named_phases import resolve_phases
from microdesign.physics.phase_library import find_phase
from microdesign.physics.tensors import (
    euler_rotation,
    isotropic_stiffness,
    mandel,
    plane_part,
    rotate_stiffness,
)

Plane = Literal["stress", "strain"]

Matrix = tuple[tuple[float, ...], ...]


def _modulus(value: float) -> float:
    if not value >= 0:
        raise PydanticCustomError("modulus", "Input should be greater than 0, or 0 for a void")
    return value


Modulus = Annotated[float, Field(allow_inf_nan=False), AfterValidator(_modulus)]
"""A finite number above zero, or zero in a void."""


class Phase(Config):
    """One isotropic phase, in the units of the materials: E and nu, or k, or all three."""

    E: Modulus | None = Field(None, description="Young's modulus; 0 is a void, which needs no nu")
    nu: float | None = Field(
        None, gt=-1, lt=0.5, allow_inf_nan=False, description="Poisson's ratio (of the three-dimensional solid)"
    )
    k: Modulus | None = Field(None, description="conductivity; 0 is a perfect insulator")
    density: float | None = Field(
        None, ge=0, allow_inf_nan=False, description="density, for specific properties such as Ex/density; 0 of a pore"
    )

    @model_validator(mode="before")
    @classmethod
    def _void(cls, values: Any) -> Any:
        """A void has no Poisson's ratio that anything depends on."""
        if isinstance(values, Mapping) and values.get("nu") is None and values.get("E") in (0, "0"):
            return {**values, "nu": 0.0}
        return values

    @model_validator(mode="after")
    def _moduli(self) -> Self:
        if (self.E is None) != (self.nu is None):
            given, lacking = ("E", "nu") if self.nu is None else ("nu", "E")
            raise ValueError(f"{given} is given without {lacking}; expected both E and nu, or neither")
        if not isinstance(self, TensorPhase) and self.E is None and self.k is None:
            raise ValueError("is empty; expected E and nu, or k, or all three")
        return self


class TensorPhase(Phase):
    """One anisotropic phase, such as a grain of a polycrystal; one of the tensors may be given by E and nu, or by k."""

    stiffness: Matrix | None = Field(
        None,
        description="`6 x 6` (xx, yy, zz, yz, xz, xy, engineering shear), or `3 x 3` (xx, yy, xy) of the plane problem "
        "itself",
    )
    conductivity: Matrix | None = Field(None, description="`3 x 3`, or `2 x 2` of the plane problem itself")
    euler: tuple[float, float, float] | None = Field(
        None, description="Bunge's angles of the crystal, degrees: its axes are turned about z, x and z"
    )
    angle: float | None = Field(None, description="angle of the crystal about z, degrees, instead of `euler`")

    @model_validator(mode="after")
    def _tensors(self) -> Self:
        if self.stiffness is not None:
            _check_tensor("stiffness", self.stiffness, (3, 6))
        if self.conductivity is not None:
            _check_tensor("conductivity", self.conductivity, (2, 3))
        if self.stiffness is not None and self.E is not None:
            raise ValueError("expected either stiffness or both E and nu")
        if self.conductivity is not None and self.k is not None:
            raise ValueError("expected either conductivity or k")
        if self.euler is not None and self.angle is not None:
            raise ValueError("expected either euler or angle")
        flat = len(self.stiffness or ()) == 3 or len(self.conductivity or ()) == 2
        if self.euler is not None and flat:
            raise ValueError("a plane tensor (3 x 3 stiffness, 2 x 2 conductivity) is turned by angle, not by euler")
        return self


def _check_tensor(name: str, rows: Matrix, sizes: tuple[int, int]) -> None:
    if len(rows) not in sizes or any(len(row) != len(rows) for row in rows):
        raise ValueError(f"{name} is not of {sizes[0]} x {sizes[0]} or {sizes[1]} x {sizes[1]} numbers")
    tensor = np.array(rows)
    if not np.isfinite(tensor).all() or not np.allclose(tensor, tensor.T, rtol=1e-6, atol=1e-9 * np.abs(tensor).max()):
        raise ValueError(f"{name} is not symmetric and finite")
    if tensor.any() and np.linalg.eigvalsh(tensor).min() <= 0:
        raise ValueError(f"{name} is not positive definite (all zero is a void)")


def _phase(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return (TensorPhase if {"stiffness", "conductivity"} & set(value) else Phase).model_validate(value)


class Units(Config):
    """The units of the numbers; numbers alone are never converted, and their units may be any names.

    Values with a unit of their own (`E: 70 GPa`) and those of the library are converted to these; where these are not
    stated, they are the unit of the first such value.
    """

    E: str = Field("as E in the materials", description="unit of the moduli")
    k: str = Field("as k in the materials", description="unit of the conductivities")
    density: str = Field("as density in the materials", description="unit of the densities")


class Materials(Config):
    """The phases of an image and the plane assumption; the position of a phase is its label.

    A phase is given by its values, numbers or texts with a unit (`E: 70 GPa`), or by its name in the library
    (`aluminium`, or `name: aluminium` with values that replace the library's beside it).

    Example:
        >>> Materials(phases=["aluminium", {"name": "silicon carbide", "E": "410 GPa"}]).phases[1]
        Phase(E=410.0, nu=0.16, k=114.0, density=3160.0)
    """

    plane: Plane = Field(
        "stress", description="`stress` for a thin sheet, `strain` for a section of a long body; volumes do not use it"
    )
    phases: tuple[Annotated[TensorPhase | Phase, BeforeValidator(_phase)], ...] = Field(
        min_length=1, max_length=256, description="phase of label 0, of label 1 and so on"
    )
    units: Units = Field(Units(), description="names of the units of E and k")

    @model_validator(mode="before")
    @classmethod
    def _names_and_units(cls, values: Any) -> Any:
        return resolve_phases(values, _located) if isinstance(values, Mapping) else values

    @model_validator(mode="after")
    def _solid(self) -> "Materials":
        given: list[bool]
        name: Literal["E", "k"]
        for name, given in (("E", self._stiffness_given), ("k", self._conductivity_given)):
            if any(given) and not all(given):
                lacking = given.index(False)
                what = "stiffness (E and nu)" if name == "E" else "conductivity (k)"
                raise _located(lacking, name, f"phase {lacking} has no {what}, but another phase has one")
            zero = self.voids(name)
            if all(given) and all(zero):
                raise _located(0, name, f"{name} is 0 in every phase; expected at least one phase that is no void", 0)
        known = [phase.density is not None for phase in self.phases]
        if any(known) and not all(known):
            message = f"phase {known.index(False)} has no density, but another phase has one; that of a pore is 0"
            raise _located(known.index(False), "density", message)
        if all(known) and not any(phase.density for phase in self.phases):
            raise _located(0, "density", "density is 0 in every phase; expected at least one that has a mass", 0)
        return self

    @property
    def _stiffness_given(self) -> list[bool]:
        return [phase.E is not None or getattr(phase, "stiffness", None) is not None for phase in self.phases]

    @property
    def _conductivity_given(self) -> list[bool]:
        return [phase.k is not None or getattr(phase, "conductivity", None) is not None for phase in self.phases]

    @property
    def isotropic(self) -> bool:
        """Whether no phase is given by tensors."""
        return not any(isinstance(phase, TensorPhase) for phase in self.phases)

    @property
    def has_stiffness(self) -> bool:
        """Whether the phases have a stiffness; all have one or none has."""
        return self._stiffness_given[0]

    @property
    def has_conductivity(self) -> bool:
        """Whether the phases have a conductivity; all have one or none has."""
        return self._conductivity_given[0]

    @property
    def has_density(self) -> bool:
        """Whether the phases state their densities; all do or none does."""
        return self.phases[0].density is not None

    @property
    def densities(self) -> np.ndarray:
        """Density of each phase, `(P,)` float64; `(0,)` if the phases state none."""
        return np.array([phase.density for phase in self.phases if phase.density is not None], dtype=np.float64)

    @property
    def lame_moduli(self) -> np.ndarray:
        """Plane Lame moduli (lambda, mu) of each phase, `(P, 2)` float64; `(0, 2)` if the phases have none.

        Raises:
            InputError: A phase is anisotropic.
        """
        return self.lame_moduli_of(2)

    def lame_moduli_of(self, dims: int) -> np.ndarray:
        """Returns the Lame moduli (lambda, mu) of the plane problem (2) or the solid (3), as `lame_moduli`.

        Raises:
            InputError: A phase is anisotropic.
        """
        plane = self.plane if dims == 2 else "strain"
        moduli = [(phase.E, phase.nu) for phase in self._isotropic_phases()]
        return np.array([lame(E, nu, plane) for E, nu in moduli if E is not None and nu is not None]).reshape(-1, 2)

    @property
    def conductivities(self) -> np.ndarray:
        """Conductivity of each phase, `(P,)` float64; `(0,)` if the phases have none.

        Raises:
            InputError: A phase is anisotropic.
        """
        return np.array([phase.k for phase in self._isotropic_phases() if phase.k is not None])

    def stiffness_tensors(self, dims: int) -> np.ndarray | None:
        """Returns the stiffness of each phase, rotated, of the plane problem (2) or the solid (3): `(P, K, K)`.

        None if the phases have none.

        Raises:
            InputError: A plane tensor is used in three dimensions.
        """
        if not self._stiffness_given[0]:
            return None
        return np.array([self._stiffness(number, phase, dims) for number, phase in enumerate(self.phases)])

    def conductivity_tensors(self, dims: int) -> np.ndarray | None:
        """Returns the conductivity of each phase, rotated, `(P, dims, dims)`; None if the phases have none.

        A thin sheet (plane stress) has no flux through it, a section of a long body no gradient along it.

        Raises:
            InputError: A plane tensor is used in three dimensions.
        """
        if not self._conductivity_given[0]:
            return None
        return np.array([self._conductivity(number, phase, dims) for number, phase in enumerate(self.phases)])

    @property
    def contrast(self) -> float:
        """The largest ratio between phases, voids left out, of moduli or of conductivities.

        The moduli are the plane bulk and the shear modulus; with anisotropic phases, the eigenvalues of the tensors.
        """
        if self.isotropic:
            lam, mu = self.lame_moduli.T
            groups = [lam + mu, mu, self.conductivities]
        else:
            C = self.stiffness_tensors(3 if self._solid_tensors else 2)
            k = self.conductivity_tensors(3 if self._solid_tensors else 2)
            groups = [] if C is None else [np.array([np.linalg.eigvalsh(mandel(each)) for each in C])]
            groups += [] if k is None else [np.linalg.eigvalsh(k)]
        solid = [values[values > 0] for values in groups]
        return max(float(values.max() / values.min()) for values in solid if len(values))

    @property
    def has_voids(self) -> bool:
        """Whether a phase has no stiffness or no conductivity."""
        return any(_is_void(phase, name) for phase in self.phases for name in ("E", "k"))

    def voids(self, name: Literal["E", "k"]) -> list[bool]:
        """Returns which phases have a stiffness (`E`), or a conductivity (`k`), of 0."""
        return [_is_void(phase, name) for phase in self.phases]

    @property
    def digest(self) -> str:
        """Digest of what all properties depend on: plane and phases, not the names of the units."""
        return digest_json(self._dumped if self.has_density else self._without_densities)

    @property
    def tensor_digest(self) -> str:
        """Digest of what stiffness and conductivity depend on: the same without the densities."""
        return digest_json(self._without_densities)

    @property
    def _dumped(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude={"units"})

    @property
    def _without_densities(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude={"units": True, "phases": {"__all__": {"density"}}})

    @property
    def _solid_tensors(self) -> bool:
        tensors = [(getattr(p, "stiffness", None), getattr(p, "conductivity", None)) for p in self.phases]
        return not any(len(C or ()) == 3 or len(k or ()) == 2 for C, k in tensors)

    def _isotropic_phases(self) -> list[Phase]:
        for number, phase in enumerate(self.phases):
            if isinstance(phase, TensorPhase):
                raise InputError(f"phase {number} is given by tensors; expected E, nu and k here.")
        return list(self.phases)

    def _stiffness(self, number: int, phase: Phase, dims: int) -> np.ndarray:
        if not isinstance(phase, TensorPhase) or phase.stiffness is None:
            assert phase.E is not None
            assert phase.nu is not None
            return isotropic_stiffness(*lame(phase.E, phase.nu, self.plane if dims == 2 else "strain"), dims)
        tensor = np.array(phase.stiffness, dtype=np.float64)
        rotation = _rotation(phase)
        if len(tensor) == 3:
            if dims == 3:
                raise InputError(f"phase {number} has a 3 x 3 stiffness; expected 6 x 6 for a volume.")
            return rotate_stiffness(tensor, rotation[:2, :2])
        tensor = rotate_stiffness(tensor, rotation)
        return tensor if dims == 3 else plane_part(tensor, [0, 1, 5], self.plane)

    def _conductivity(self, number: int, phase: Phase, dims: int) -> np.ndarray:
        if not isinstance(phase, TensorPhase) or phase.conductivity is None:
            assert phase.k is not None
            return phase.k * np.eye(dims)
        tensor = np.array(phase.conductivity, dtype=np.float64)
        rotation = _rotation(phase)
        if len(tensor) == 2:
            if dims == 3:
                raise InputError(f"phase {number} has a 2 x 2 conductivity; expected 3 x 3 for a volume.")
            return rotation[:2, :2] @ tensor @ rotation[:2, :2].T
        tensor = rotation @ tensor @ rotation.T
        return tensor if dims == 3 else plane_part(tensor, [0, 1], self.plane)


def lame(E: float, nu: float, plane: Plane) -> tuple[float, float]:
    """Returns the Lame moduli (lambda, mu) of the plane problem, in the unit of `E`.

    Plane strain keeps the solid's own lambda = E nu / ((1 + nu)(1 - 2 nu)); plane stress has
    2 lambda mu / (lambda + 2 mu) = E nu / (1 - nu^2) instead. mu = E / (2 (1 + nu)) in both.
    """
    mu = E / (2 * (1 + nu))
    if plane == "stress":
        return E * nu / (1 - nu**2), mu
    return E * nu / ((1 + nu) * (1 - 2 * nu)), mu


def materials_from(values: Mapping[str, Any] | None, source: str) -> Materials:
    """Returns the materials that a data set's `dataset.json` or a model's `model.json` states.

    Args:
        values: The materials as plain values; None if none are stated.
        source: What states them, for the error.

    Raises:
        InputError: None are stated, or they are not valid.
    """
    if values is None:
        raise InputError(f"{source}: states no materials, so that no evaluator can compute properties of its images.")
    return validate_config(Materials, values, source)


def load_materials(path: str | Path, overrides: Sequence[str] = ()) -> Materials:
    """Reads materials from a YAML file: `plane: stress`, `phases: [{E: 1000, nu: 0.3, k: 1}, aluminium, ...]`.

    Args:
        path: The file; or names of the library with commas between them, `aluminium,pore`.
        overrides: `a.b=value` strings, as of `load_config`.

    Raises:
        InputError: The file cannot be read, or a field is unknown, missing or out of its range.
    """
    names = _names_in_place_of_a_file(path)
    if names is not None:
        return load_config(Materials, None, [f"phases={json.dumps(names)}", *overrides])
    return load_config(Materials, path, overrides)


def _names_in_place_of_a_file(path: str | Path) -> list[str] | None:
    """The names of the library that a text consists of, None where it is the path of a file.

    Raises:
        InputError: It is neither.
    """
    if Path(path).suffix.lower() in (".yaml", ".yml", ".json") or Path(path).exists():
        return None
    names = [name.strip() for name in str(path).split(",")]
    try:
        for name in names:
            find_phase(name)
    except InputError as error:
        raise InputError(f"{path}: is neither a YAML file nor names of phases: {error}") from None
    return names


def _rotation(phase: TensorPhase) -> np.ndarray:
    return euler_rotation(*(phase.euler or (phase.angle or 0.0, 0.0, 0.0)))


def _is_void(phase: Phase, name: str) -> bool:
    tensor = getattr(phase, {"E": "stiffness", "k": "conductivity"}[name], None)
    return getattr(phase, name) == 0 or (tensor is not None and not np.any(tensor))


def _located(phase: int, name: str, message: str, value: Any = None) -> ValidationError:
    """An error that names the field of one phase, and its value where there is one."""
    error = PydanticCustomError("phase", "{message}", {"message": message})
    details: InitErrorDetails = {"type": error, "loc": ("phases", phase, name), "input": [] if value is None else value}
    return ValidationError.from_exception_data("Materials", [details])
