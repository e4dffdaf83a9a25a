"""The effective solid that stands for a microstructure in a macroscopic model: its stiffness and conductivity.

A volume is solved as it is. An image is a long body's section, extruded and solved in three dimensions; of a thin sheet
(plane stress) the constants in its plane are those of the sheet, and the others those of the long body.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microdesign.core.errors import InputError
from microdesign.export.constants import coupling, engineering_constants
from microdesign.export.protocol import Sample
from microdesign.physics.materials import Materials
from microdesign.physics.solver.boundary import chosen_boundary
from microdesign.physics.solver.homogenization import Homogenization, homogenize

_PLANE = np.ix_([0, 1, 5], [0, 1, 5])
_LEAST = 1e-6
"""A stiffness below this share of the largest is none: the solid does not hang together."""


@dataclass(frozen=True, kw_only=True)
class EffectiveSolid:
    """Effective properties as three-dimensional tensors, in the units of the materials.

    Attributes:
        stiffness: `(6, 6)`, order xx, yy, zz, yz, xz, xy, engineering shear; None without stiffness.
        conductivity: `(3, 3)`; None without conductivity.
        boundary: `periodic` or `mirror`.
        kind: What was solved: `volume`, `long body` or `thin sheet`.
    """

    stiffness: NDArray[np.float64] | None
    conductivity: NDArray[np.float64] | None
    boundary: str
    kind: str

    @property
    def constants(self) -> dict[str, float]:
        """The nine engineering constants."""
        return {} if self.stiffness is None else engineering_constants(self.stiffness)

    @property
    def coupling(self) -> float:
        """The largest entry that orthotropy does not have, over the smallest on the diagonal."""
        return 0.0 if self.stiffness is None else coupling(self.stiffness)


def effective_solid(sample: Sample, tolerance: float = 1e-5) -> EffectiveSolid:
    """Computes the effective solid by the discretization `q1`.

    Raises:
        InputError: There are no materials, or the solid does not hang together along an axis.
        NotConvergedError: The solver did not reach the tolerance.
    """
    materials = sample.given_materials("either")
    boundary = chosen_boundary("auto", sample.periodic)
    solid = sample.extruded()
    labels = solid.labels if not sample.is_image else solid.labels.repeat(2, axis=2)  # the solver takes two layers
    settings: dict[str, Any] = {"boundary": boundary, "tolerance": tolerance}
    found = homogenize(labels, materials, dims=3, spacing=solid.spacing, **settings)
    kind = "volume"
    stiffness = found.stiffness[0] if materials.has_stiffness else None
    conductivity = found.conductivity[0] if materials.has_conductivity else None
    if sample.is_image:
        kind = "long body" if materials.plane == "strain" else "thin sheet"
    if kind == "thin sheet":
        sheet = homogenize(sample.labels, materials, dims=2, spacing=sample.spacing, **settings)
        stiffness, conductivity = _with_sheet(sample, materials, stiffness, conductivity, sheet)
    _refuse_loose(sample, stiffness)
    return EffectiveSolid(stiffness=stiffness, conductivity=conductivity, boundary=boundary, kind=kind)


def _with_sheet(
    sample: Sample,
    materials: Materials,
    stiffness: NDArray[np.float64] | None,
    conductivity: NDArray[np.float64] | None,
    sheet: Homogenization,
) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
    """The tensors of the long body, with that part of the compliance that lies in the plane from the sheet."""
    if stiffness is not None:
        _refuse_loose(sample, stiffness)
        compliance = np.linalg.inv(stiffness)
        compliance[_PLANE] = np.linalg.inv(sheet.stiffness[0])
        stiffness = np.linalg.inv(compliance)
        stiffness = (stiffness + stiffness.T) / 2
    if conductivity is not None:
        conductivity = conductivity.copy()
        conductivity[:2, :2] = sheet.conductivity[0]
    return stiffness, conductivity


def _refuse_loose(sample: Sample, stiffness: NDArray[np.float64] | None) -> None:
    if stiffness is None:
        return
    smallest = np.linalg.eigvalsh(stiffness).min()
    if smallest <= _LEAST * np.diag(stiffness).max():
        raise InputError(
            f"{sample.source}: the solid does not hang together, its effective stiffness has an eigenvalue of "
            f"{smallest:.2g}; a card needs one that carries every load."
        )
