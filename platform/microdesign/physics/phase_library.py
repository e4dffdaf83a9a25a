"""The library of common phases, `phase_library.yaml`: their values, in SI units, and where each is from."""

import difflib
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from microdesign.core.config import Config, read_yaml_mapping, validate_config
from microdesign.core.errors import InputError

E_UNIT, K_UNIT, DENSITY_UNIT = "GPa", "W/(m K)", "kg/m3"
"""What the library's moduli, conductivities and densities are in."""


class LibraryPhase(Config):
    """One phase at room temperature: isotropic by E and nu, or a cubic crystal by C11, C12 and C44."""

    aliases: tuple[str, ...] = Field((), description="other names")
    E: float | None = Field(None, ge=0, description="Young's modulus, GPa")
    nu: float | None = Field(None, gt=-1, lt=0.5, description="Poisson's ratio")
    C11: float | None = Field(None, gt=0, description="stiffness of a cubic crystal, GPa")
    C12: float | None = Field(None, description="stiffness of a cubic crystal, GPa")
    C44: float | None = Field(None, gt=0, description="stiffness of a cubic crystal, GPa")
    k: float = Field(ge=0, description="thermal conductivity, W/(m K)")
    thermal_expansion: float | None = Field(None, description="linear thermal expansion, 1/K")
    density: float | None = Field(None, ge=0, description="density, kg/m3")
    elastic: str = Field(description="source of the moduli")
    thermal: str = Field(description="source of the conductivity")
    other: str | None = Field(None, description="source of expansion and density; as `thermal` when left out")

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        isotropic, cubic = (self.E, self.nu), (self.C11, self.C12, self.C44)
        if (None in isotropic) == (None in cubic):
            raise ValueError("expected either E and nu or C11, C12 and C44")
        return self

    @property
    def void(self) -> bool:
        """Whether it carries neither stress nor heat."""
        return self.E == 0 and self.k == 0

    @property
    def elastic_values(self) -> dict[str, Any]:
        """The moduli as a phase of the materials has them: `E` and `nu`, or a `6 x 6` `stiffness`, in GPa."""
        if self.E is not None:
            return {"E": self.E, "nu": self.nu}
        C11, C12, C44 = (float(value or 0) for value in (self.C11, self.C12, self.C44))
        normal = [[C11 if i == j else C12 for j in range(3)] + [0.0] * 3 for i in range(3)]
        shear = [[0.0] * 3 + [C44 if i == j else 0.0 for j in range(3)] for i in range(3)]
        return {"stiffness": normal + shear}


class _Library(Config):
    sources: dict[str, str]
    phases: dict[str, LibraryPhase]


def library() -> Mapping[str, LibraryPhase]:
    """Returns the phases by name, in the order of the file."""
    return _read().phases


def sources() -> Mapping[str, str]:
    """Returns the citations by the keys that phases name in `elastic`, `thermal` and `other`."""
    return _read().sources


def find_phase(name: str) -> tuple[str, LibraryPhase]:
    """Returns a phase and its name in the library; capitals, spaces, `-` and `_` make no difference.

    Example:
        >>> find_phase("Aluminum")[0], find_phase("silicon_carbide")[1].E
        ('aluminium', 415.0)

    Raises:
        InputError: There is no such phase; the text names the one that was probably meant.
    """
    names = _names()
    found = names.get(_plain(name))
    if found is None:
        close = difflib.get_close_matches(_plain(name), names, n=1, cutoff=0.7)
        hint = f"did you mean '{names[close[0]]}'?" if close else "`microdesign materials list` shows them."
        raise InputError(f"the library has no phase '{name}'; {hint}")
    return found, library()[found]


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name.strip().casefold())


@cache
def _names() -> dict[str, str]:
    """The name of each phase by its plain name and those of its aliases."""
    return {_plain(each): name for name, phase in library().items() for each in (name, *phase.aliases)}


@cache
def _read() -> _Library:
    path = Path(__file__).with_suffix(".yaml")
    return validate_config(_Library, read_yaml_mapping(path), str(path))
