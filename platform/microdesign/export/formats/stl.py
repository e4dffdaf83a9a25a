"""Closed surfaces of the phases, for printing, CAD and meshing programs."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from microdesign.core.errors import InputError
from microdesign.core.units import shown_length
from microdesign.export.protocol import ExportOptions, Sample
from microdesign.export.surface import enclosed_volume, surface

_RECORD = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


class StlExporter:
    """Writes `NAME-phase-I.stl` of each phase, in the unit of the pixel size; an image becomes a plate."""

    takes = ("phase", "smooth")

    def write(self, sample: Sample, folder: Path, options: ExportOptions) -> tuple[list[Path], list[str]]:
        """Writes the surfaces.

        Raises:
            InputError: A phase is not there, or too thin for the smoothing.
        """
        solid = sample.extruded()
        files, notes = [], []
        for phase in options.phases_of(sample):
            points, triangles = phase_surface(solid, phase, options)
            files.append(folder / f"{sample.name}-phase-{phase}.stl")
            write_stl(files[-1], points, triangles)
            ratio = enclosed_volume(points, triangles) / (np.prod(solid.spacing) * (solid.labels == phase).sum())
            notes.append(f"phase {phase}: {len(triangles)} triangles, volume {ratio:.4f} of its voxels'")
        notes.append(f"lengths in {sample.unit}" if sample.unit else "lengths in pixels: say --pixel-size 0.5um")
        return files, notes


def phase_surface(solid: Sample, phase: int, options: ExportOptions) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Returns the closed surface of a phase of a volume, points and triangles.

    Raises:
        InputError: The smoothing leaves nothing of it.
    """
    try:
        return surface(solid.labels == phase, solid.spacing, solid.periodic, options.smooth)
    except (RuntimeError, ValueError):  # marching cubes finds no surface
        edge = shown_length(solid.spacing[0], solid.unit)
        raise InputError(
            f"{solid.source}: smoothing leaves nothing of phase {phase}, whose parts are few voxels of {edge}; "
            "say --smooth 0."
        ) from None


def write_stl(path: Path, points: NDArray[np.float64], triangles: NDArray[np.int64]) -> None:
    """Writes a surface as binary STL."""
    corners = points[triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    records = np.zeros(len(triangles), _RECORD)
    records["normal"] = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), np.finfo(float).tiny)
    records["corners"] = corners
    with path.open("wb") as file:
        file.write(b"microdesign".ljust(80))
        file.write(np.uint32(len(triangles)).astype("<u4").tobytes())
        file.write(records.tobytes())
