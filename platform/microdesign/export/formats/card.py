"""Effective-material cards: what a macroscopic model takes in the place of the microstructure.

The nine engineering constants where shear and normal strains are coupled by less than 1 %, else the whole tensor.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microdesign.export.constants import ABAQUS, XY_YZ_XZ, upper_by_columns, upper_by_rows
from microdesign.export.effective import EffectiveSolid, effective_solid
from microdesign.export.protocol import ExportOptions, Sample
from microdesign.physics.materials import Materials

ORTHOTROPIC = 0.01
"""Coupling up to which the engineering constants stand for the tensor."""


class CardExporter:
    """Writes `NAME-card.json` and the cards of Abaqus, CalculiX, Ansys and LS-DYNA."""

    takes = ()

    def write(self, sample: Sample, folder: Path, options: ExportOptions) -> tuple[list[Path], list[str]]:
        """Homogenizes the sample and writes the cards.

        Raises:
            InputError: There are no materials, or the solid does not hang together.
            NotConvergedError: The solver did not reach the tolerance.
        """
        materials = sample.given_materials("either")
        found = effective_solid(sample)
        cards = {
            "card.json": _as_json(sample, materials, found),
            "abaqus.inp": _as_abaqus(sample, materials, found, calculix=False),
            "calculix.inp": _as_abaqus(sample, materials, found, calculix=True),
            "ansys.mac": _as_ansys(sample, materials, found),
            "lsdyna.k": _as_lsdyna(sample, materials, found),
        }
        files = []
        for suffix, text in cards.items():
            files.append(folder / f"{sample.name}-{suffix}")
            files[-1].write_text(text, encoding="utf-8")
        notes = _remarks(materials, found)
        if found.coupling > ORTHOTROPIC:
            notes.append(f"coupling {found.coupling:.2g}: the cards have the whole tensor")
        return files, notes


def _as_json(sample: Sample, materials: Materials, found: EffectiveSolid) -> str:
    document: dict[str, Any] = {
        "name": sample.name,
        "source": sample.source,
        "kind": found.kind,
        "boundary": found.boundary,
        "discretization": "q1",
        "order": ["xx", "yy", "zz", "yz", "xz", "xy"],
        "units": {"E": materials.units.E, "k": materials.units.k},
        "volume_fractions": [float(np.mean(sample.labels == phase)) for phase in range(len(materials.phases))],
        "stiffness": None if found.stiffness is None else found.stiffness.tolist(),
        "engineering_constants": found.constants or None,
        "coupling": None if found.stiffness is None else found.coupling,
        "conductivity": None if found.conductivity is None else found.conductivity.tolist(),
        "materials": materials.model_dump(mode="json", exclude_none=True),
    }
    return json.dumps(document, indent=2) + "\n"


def _as_abaqus(sample: Sample, materials: Materials, found: EffectiveSolid, calculix: bool) -> str:
    lines = [f"** {line}" for line in _head(sample, materials, found)]
    if not calculix:
        lines.append("** The section needs an *ORIENTATION along the axes of the sample.")
    lines.append(f"*MATERIAL, NAME={_name(sample)}")
    if found.stiffness is not None:
        if found.coupling > ORTHOTROPIC:
            kind, values = "ANISO", upper_by_columns(found.stiffness, ABAQUS)
        else:
            c = found.constants
            names = ("Ex", "Ey", "Ez", "vxy", "vxz", "vyz", "Gxy", "Gxz", "Gyz")
            kind, values = "ENGINEERING CONSTANTS", [c[name] for name in names]
        lines += [f"*ELASTIC, TYPE={kind}", *_rows(values, 8)]
    if found.conductivity is not None:
        k = found.conductivity
        if _is_diagonal(k):
            lines += ["*CONDUCTIVITY, TYPE=ORTHO", *_rows(np.diag(k).tolist(), 8)]
        else:
            # The two programs order the components in different ways.
            pairs = (
                [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)]
                if calculix
                else [(0, 0), (0, 1), (1, 1), (0, 2), (1, 2), (2, 2)]
            )
            lines += ["*CONDUCTIVITY, TYPE=ANISO", *_rows([float(k[pair]) for pair in pairs], 8)]
    return "\n".join(lines) + "\n"


def _as_ansys(sample: Sample, materials: Materials, found: EffectiveSolid) -> str:
    lines = [f"! {line}" for line in _head(sample, materials, found)]
    if found.stiffness is not None and found.coupling > ORTHOTROPIC:
        values = upper_by_rows(found.stiffness, XY_YZ_XZ)
        lines.append("TB,ANEL,1,1,21,0")
        lines += [f"TBDATA,{start + 1},{_joined(values[start : start + 6], ',')}" for start in range(0, 21, 6)]
    elif found.stiffness is not None:
        names = {"EX": "Ex", "EY": "Ey", "EZ": "Ez", "PRXY": "vxy", "PRXZ": "vxz", "PRYZ": "vyz"}
        names |= {"GXY": "Gxy", "GXZ": "Gxz", "GYZ": "Gyz"}
        lines += [f"MP,{label},1,{found.constants[name]:.9g}" for label, name in names.items()]
    if found.conductivity is not None:
        k = found.conductivity
        if not _is_diagonal(k):
            lines.append(f"! MP has no room for kxy = {k[0, 1]:.4g}, kxz = {k[0, 2]:.4g}, kyz = {k[1, 2]:.4g}.")
        lines += [f"MP,K{axis}{axis},1,{k[i, i]:.9g}" for i, axis in enumerate("XYZ")]
    return "\n".join(lines) + "\n"


def _as_lsdyna(sample: Sample, materials: Materials, found: EffectiveSolid) -> str:
    lines = [f"$ {line}" for line in _head(sample, materials, found)]
    lines.append("$ Define rho, the density, by *PARAMETER; the material axes are the global ones (AOPT 2).")
    axes = ["0,0,0,1,0,0", "0,0,0,0,1,0"]
    if found.stiffness is not None and found.coupling > ORTHOTROPIC:
        C = upper_by_columns(found.stiffness, XY_YZ_XZ)
        lines += ["*MAT_ANISOTROPIC_ELASTIC_TITLE", sample.name, f"1,&rho,{_joined(C[:6], ',')}"]
        lines += [_joined(C[6:14], ","), f"{_joined(C[14:], ',')},2", *axes]
    elif found.stiffness is not None:
        c = found.constants
        minor = [c["vxy"] * c["Ey"] / c["Ex"], c["vxz"] * c["Ez"] / c["Ex"], c["vyz"] * c["Ez"] / c["Ey"]]
        moduli = [c["Ex"], c["Ey"], c["Ez"], *minor]
        lines += ["*MAT_ORTHOTROPIC_ELASTIC_TITLE", sample.name, f"1,&rho,{_joined(moduli, ',')}"]
        lines += [f"{_joined([c['Gxy'], c['Gyz'], c['Gxz']], ',')},2", *axes]
    if found.conductivity is not None:
        k = found.conductivity
        if not _is_diagonal(k):
            lines.append(f"$ The card has no room for kxy = {k[0, 1]:.4g}, kxz = {k[0, 2]:.4g}, kyz = {k[1, 2]:.4g}.")
        lines += ["$ Define cp, the heat capacity, by *PARAMETER.", "*MAT_THERMAL_ORTHOTROPIC_TITLE", sample.name]
        lines += ["1,&rho,0,0,2", f"&cp,{_joined(np.diag(k).tolist(), ',')}"]
        lines += ["0,0,0,1,0,0", "0,1,0"]
    return "\n".join(lines) + "\n"


def _head(sample: Sample, materials: Materials, found: EffectiveSolid) -> list[str]:
    return [f"Effective material of {sample.name} ({sample.size}), by microdesign.", *_remarks(materials, found)]


def _remarks(materials: Materials, found: EffectiveSolid) -> list[str]:
    solved = {
        "volume": "solved as a volume",
        "long body": "solved as a section of a long body (plane strain)",
        "thin sheet": "in its plane a thin sheet (plane stress), across it a long body",
    }
    units = [f"E: {materials.units.E}"] if found.stiffness is not None else []
    units += [f"k: {materials.units.k}"] if found.conductivity is not None else []
    remarks = [f"{solved[found.kind]}, {found.boundary} boundary; units, {', '.join(units)}"]
    if 0 < found.coupling <= ORTHOTROPIC:
        remarks.append(f"orthotropic: a coupling of {found.coupling:.1g} between shear and other strains is left out")
    return remarks


def _is_diagonal(k: NDArray[np.float64]) -> bool:
    off = k - np.diag(np.diag(k))
    return bool(np.abs(off).max() <= ORTHOTROPIC * np.diag(k).min())


def _name(sample: Sample) -> str:
    """A name that Abaqus and CalculiX take."""
    return re.sub(r"\W", "_", sample.name, flags=re.ASCII).upper()[:40]


def _rows(values: Sequence[float], length: int) -> list[str]:
    return [_joined(values[start : start + length], ", ") for start in range(0, len(values), length)]


def _joined(values: Sequence[float], separator: str) -> str:
    return separator.join(f"{value:.9g}" for value in values)
