"""An input of FANS (Fourier-accelerated nodal solver): a grid in HDF5 and the settings in JSON.

As FANS 0.6 reads them: the order of components is xx, yy, zz, xy, xz, yz in Mandel's notation, the order of the data
X, Y, Z as its attribute says. `HEX8` is the discretization `q1` (Leuschner and Fritzen, Comput. Mech. 62 (2018)).
"""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from microdesign.core.errors import InputError
from microdesign.export.constants import ABAQUS, upper_by_rows
from microdesign.export.protocol import ExportOptions, Sample
from microdesign.physics.materials import Materials
from microdesign.physics.tensors import mandel

_DATASET = "/microdesign/ms"
_LEAST = 4
_STRAIN = 1e-3


class FansExporter:
    """Writes `NAME.h5` and `NAME.json`, of mechanics; or of heat conduction where the phases have no stiffness.

    FANS is run in their folder: `FANS NAME.json NAME-results.h5`. An image becomes a layer of one voxel, which
    continues along z.
    """

    takes = ()

    def write(self, sample: Sample, folder: Path, options: ExportOptions) -> tuple[list[Path], list[str]]:
        """Writes the two files.

        Raises:
            InputError: The sample is not periodic, or has too few voxels along x; or there are no materials.
        """
        materials = sample.given_materials("either")
        solid = sample.extruded()
        if not sample.periodic:
            raise InputError(
                f"{sample.source}: is not periodic, which FANS takes it as; say --periodic if so it shall be."
            )
        if solid.labels.shape[0] < _LEAST:
            raise InputError(f"{sample.source}: has {solid.labels.shape[0]} voxels along x; FANS takes 4 or more.")
        grid, settings = folder / f"{sample.name}.h5", folder / f"{sample.name}.json"
        with h5py.File(grid, "w", track_order=False) as file:
            data = file.create_dataset(_DATASET, data=solid.labels.astype(np.uint16), compression="gzip")
            data.attrs["permute_order"] = "xyz"
        mechanical = materials.has_stiffness
        components = 6 if mechanical else 3
        document = {
            "microstructure": {"filepath": grid.name, "datasetname": _DATASET, "L": list(solid.lengths)},
            "problem_type": "mechanical" if mechanical else "thermal",
            "strain_type": "small",
            "materials": [_phases(materials, mechanical)],
            "FE_type": "HEX8",
            "method": "cg",
            "error_parameters": {"measure": "Linfinity", "type": "relative", "tolerance": 1e-8},
            "n_it": 2000,
            "macroscale_loading": [[row] for row in (_STRAIN * np.eye(components)).tolist()],
            "results": ["homogenized_tangent", "stress_average", "strain_average", "absolute_error"],
        }
        settings.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        unit = materials.units.E if mechanical else materials.units.k
        notes = [f"moduli as in the materials (unit: {unit}); run: FANS {settings.name} {sample.name}-results.h5"]
        if sample.is_image:
            notes.append("one voxel along z, which continues: a section of a long body (plane strain)")
        return [settings, grid], notes


def _phases(materials: Materials, mechanical: bool) -> dict[str, Any]:
    numbers = list(range(len(materials.phases)))
    if not mechanical:
        tensors = materials.conductivity_tensors(3)
        assert tensors is not None
        if not np.allclose(tensors, tensors[:, :1, :1] * np.eye(3)):
            names = [f"K_{a + 1}{b + 1}" for a in range(3) for b in range(a, 3)]
            values = [[float(k[a, b]) for k in tensors] for a in range(3) for b in range(a, 3)]
            return _material(numbers, "LinearThermalTriclinic", dict(zip(names, values, strict=True)))
        return _material(numbers, "LinearThermalIsotropic", {"conductivity": tensors[:, 0, 0].tolist()})
    if materials.isotropic:
        lam, mu = materials.lame_moduli_of(3).T
        return _material(
            numbers,
            "LinearElasticIsotropic",
            {"bulk_modulus": (lam + 2 * mu / 3).tolist(), "shear_modulus": mu.tolist()},
        )
    stiffnesses = materials.stiffness_tensors(3)
    assert stiffnesses is not None
    columns = [upper_by_rows(mandel(C), ABAQUS) for C in stiffnesses]
    names = [f"C_{a + 1}{b + 1}" for a in range(6) for b in range(a, 6)]
    return _material(
        numbers,
        "LinearElasticTriclinic",
        {name: list(values) for name, values in zip(names, zip(*columns, strict=True), strict=True)},
    )


def _material(numbers: list[int], model: str, values: dict[str, list[float]]) -> dict[str, Any]:
    return {"phases": numbers, "matmodel": model, "material_properties": values}
