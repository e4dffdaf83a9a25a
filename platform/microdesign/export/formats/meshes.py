"""Meshes of one element a pixel or voxel with the phase of each, written by meshio: VTK, Gmsh and Salome."""

from pathlib import Path

import meshio
import numpy as np

from microdesign.export.grid import grid_cells, grid_nodes
from microdesign.export.protocol import ExportOptions, Sample


class VtuExporter:
    """Writes `NAME.vtu` with the cell data `phase`; ParaView opens it."""

    takes = ()

    def write(self, sample: Sample, folder: Path, options: ExportOptions) -> tuple[list[Path], list[str]]:
        """Writes the mesh."""
        mesh = _mesh(sample)
        mesh.cell_data["phase"] = [sample.labels.ravel()]
        path = folder / f"{sample.name}.vtu"
        mesh.write(path, file_format="vtu", binary=True)
        return [path], [_lengths(sample)]


class MshExporter:
    """Writes `NAME.msh` in Gmsh's format 2.2, which most programs read; phase I is the physical group `phase_I`."""

    takes = ()

    def write(self, sample: Sample, folder: Path, options: ExportOptions) -> tuple[list[Path], list[str]]:
        """Writes the mesh."""
        mesh = _mesh(sample)
        tags = sample.labels.ravel().astype(np.int32) + 1  # Gmsh's groups are numbered from 1
        mesh.cell_data |= {"gmsh:physical": [tags], "gmsh:geometrical": [tags]}
        dims = sample.labels.ndim
        mesh.field_data = {f"phase_{phase}": np.array([phase + 1, dims]) for phase in sample.phases}
        path = folder / f"{sample.name}.msh"
        mesh.write(path, file_format="gmsh22", binary=True)
        return [path], [_lengths(sample), "physical group phase_I has the number I + 1"]


class MedExporter:
    """Writes `NAME.med` for Salome and code_aster; phase I is the group `phase_I`."""

    takes = ()

    def write(self, sample: Sample, folder: Path, options: ExportOptions) -> tuple[list[Path], list[str]]:
        """Writes the mesh."""
        mesh = _mesh(sample)
        # MED's families of cells have negative numbers.
        mesh.cell_data["cell_tags"] = [-1 - sample.labels.ravel().astype(np.int64)]
        mesh.cell_tags = {-1 - phase: [f"phase_{phase}"] for phase in sample.phases}
        path = folder / f"{sample.name}.med"
        mesh.write(path, file_format="med")
        return [path], [_lengths(sample)]


def _mesh(sample: Sample) -> meshio.Mesh:
    kind = "quad" if sample.is_image else "hexahedron"
    points = grid_nodes(sample.labels.shape, sample.spacing)
    points = np.pad(points, ((0, 0), (0, 3 - points.shape[1])))
    return meshio.Mesh(points, [(kind, grid_cells(sample.labels.shape))])


def _lengths(sample: Sample) -> str:
    return f"lengths in {sample.unit or 'pixels'}"
