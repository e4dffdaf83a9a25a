"""A grid and materials of DAMASK 3: `NAME.vti` with the cell data `material`, and `NAME.material.yaml`.

In SI units, as DAMASK's own materials are, where the units of the sample and of E are known.
"""

from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from microdesign.core.errors import InputError
from microdesign.core.units import convert
from microdesign.export.protocol import ExportOptions, Sample
from microdesign.microstructure.io.formats.vti import write_cells
from microdesign.physics.materials import Materials, TensorPhase


class DamaskExporter:
    """Writes the grid and the materials: one material a phase, elastic by Hooke's law.

    An image becomes a layer of one voxel, which continues along z.
    """

    takes = ()

    def write(self, sample: Sample, folder: Path, options: ExportOptions) -> tuple[list[Path], list[str]]:
        """Writes the two files.

        Raises:
            InputError: The sample is not periodic; or a phase has no stiffness, is a void, or is neither cubic nor
                isotropic, hexagonal or tetragonal in its own axes.
        """
        materials = sample.given_materials("stiffness")
        if not sample.periodic:
            raise InputError(
                f"{sample.source}: is not periodic, which DAMASK takes it as; say --periodic if so it shall be."
            )
        solid = sample.extruded()
        metres = convert(1.0, sample.unit, "m") if sample.unit else 1.0
        factor, unit = _pascals(materials)
        document = {
            "homogenization": {"SX": {"N_constituents": 1, "mechanical": {"type": "pass"}}},
            "phase": {
                f"phase_{number}": _phase(sample, materials, number, factor) for number in range(len(materials.phases))
            },
            "material": [
                {
                    "homogenization": "SX",
                    "constituents": [{"phase": f"phase_{number}", "v": 1.0, "O": _orientation(phase)}],
                }
                for number, phase in enumerate(materials.phases)
            ],
        }
        grid, settings = folder / f"{sample.name}.vti", folder / f"{sample.name}.material.yaml"
        write_cells(grid, "material", solid.labels.astype(np.int32), [edge * metres for edge in solid.spacing])
        settings.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
        notes = [f"lengths in {'m' if sample.unit else 'pixels: say --pixel-size 0.5um'}; moduli in {unit}"]
        if sample.is_image:
            notes.append("one voxel along z, which continues: a section of a long body (plane strain)")
        return [grid, settings], notes


def _pascals(materials: Materials) -> tuple[float, str]:
    """What turns E into Pa and the unit that results; 1 where the unit of E is not known."""
    try:
        return convert(1.0, materials.units.E, "Pa"), "Pa"
    except InputError:
        return 1.0, f"the unit of the materials ({materials.units.E})"


def _phase(sample: Sample, materials: Materials, number: int, factor: float) -> dict[str, Any]:
    phase = materials.phases[number]
    if isinstance(phase, TensorPhase) and phase.stiffness is not None:
        C = np.array(phase.stiffness)  # in the crystal's own axes: the orientation is stated beside it
    else:
        lam, mu = materials.lame_moduli_of(3)[number] if materials.isotropic else _lame(materials, number)
        C = lam * np.pad(np.ones((3, 3)), (0, 3)) + mu * np.diag([2.0, 2, 2, 1, 1, 1])
    if C.shape != (6, 6) or not C.any():
        kind = "a void, which DAMASK does not take: give it a small E" if not C.any() else "given in the plane"
        raise InputError(f"{sample.source}: phase {number} is {kind}.")
    lattice, constants = _lattice(sample, number, C)
    return {
        "lattice": lattice,
        **({"c/a": 1.0} if lattice in ("hP", "tI") else {}),
        "mechanical": {
            "output": ["F", "P"],
            "elastic": {
                "type": "Hooke",
                **{name: float(f"{value * factor:.10g}") for name, value in constants.items()},
            },
        },
    }


def _lame(materials: Materials, number: int) -> tuple[float, float]:
    tensors = materials.stiffness_tensors(3)
    assert tensors is not None
    return float(tensors[number][0, 1]), float(tensors[number][3, 3])


def _lattice(sample: Sample, number: int, C: NDArray[np.float64]) -> tuple[str, dict[str, float]]:
    """DAMASK's lattice with the symmetry of a stiffness, and the constants that it takes."""
    c11, c12, c13, c33, c44, c66 = C[0, 0], C[0, 1], C[0, 2], C[2, 2], C[3, 3], C[5, 5]
    tetragonal = np.zeros((6, 6))
    tetragonal[:3, :3] = [[c11, c12, c13], [c12, c11, c13], [c13, c13, c33]]
    tetragonal[[3, 4, 5], [3, 4, 5]] = c44, c44, c66

    def alike(a: Any, b: Any) -> bool:
        return bool(np.allclose(a, b, rtol=1e-6, atol=1e-9 * c11))

    if not alike(C, tetragonal):
        raise InputError(
            f"{sample.source}: phase {number} has a stiffness without cubic, hexagonal or tetragonal symmetry about z, "
            "which DAMASK does not take."
        )
    constants = {"C_11": c11, "C_12": c12, "C_44": c44}
    if alike([c13, c33, c66], [c12, c11, c44]):
        return "cI", constants
    constants |= {"C_13": c13, "C_33": c33}
    if alike(c66, (c11 - c12) / 2):
        return "hP", constants
    return "tI", {**constants, "C_66": c66}


def _orientation(phase: Any) -> list[float]:
    """Unit quaternion of Bunge's angles, as DAMASK takes it (Rowenhorst et al. 2015 with P = -1)."""
    angles = getattr(phase, "euler", None) or (getattr(phase, "angle", None) or 0.0, 0.0, 0.0)
    phi1, Phi, phi2 = np.radians(angles) / 2
    plus, minus = phi1 + phi2, phi1 - phi2
    q = np.array(
        [
            np.cos(Phi) * np.cos(plus),
            np.sin(Phi) * np.cos(minus),
            np.sin(Phi) * np.sin(minus),
            np.cos(Phi) * np.sin(plus),
        ]
    )
    return [float(f"{value:.12g}") + 0.0 for value in (-q if q[0] < 0 else q)]
