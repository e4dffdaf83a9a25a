"""The space of one phase for OpenFOAM: its surface and the dictionaries of blockMesh and snappyHexMesh."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from microdesign.core.errors import InputError
from microdesign.core.units import convert
from microdesign.export.formats.stl import phase_surface, write_stl
from microdesign.export.protocol import ExportOptions, Sample

_HEAD = "FoamFile {{ version 2.0; format ascii; class dictionary; object {name}; }}\n"


class SnappyExporter:
    """Writes the case folder `NAME`: `constant/triSurface/phase.stl`, `system/blockMeshDict`, `snappyHexMeshDict`.

    Lengths are in metres where the unit is known. The background mesh has one cell a voxel, and `locationInMesh` is the
    point of the phase that is deepest inside.
    """

    takes = ("phase", "smooth")

    def write(self, sample: Sample, folder: Path, options: ExportOptions) -> tuple[list[Path], list[str]]:
        """Writes the case.

        Raises:
            InputError: The phase of the fluid was not named, or is not there.
        """
        if options.phase is None:
            raise InputError(f"{sample.source}: which phase is the fluid? Say --phase, one of {sample.phases}.")
        (phase,) = options.phases_of(sample)
        solid = sample.extruded()
        scale = convert(1.0, sample.unit, "m") if sample.unit else 1.0
        points, triangles = phase_surface(solid, phase, options)
        triangles = walls(points, triangles, solid.lengths)
        case = folder / sample.name
        for part in ("constant/triSurface", "system"):
            (case / part).mkdir(parents=True)
        stl = case / "constant/triSurface/phase.stl"
        write_stl(stl, points * scale, triangles)
        inside = deepest(solid.labels == phase, solid.spacing) * scale
        shape, lengths = solid.labels.shape, np.array(solid.lengths) * scale
        block, snappy = case / "system/blockMeshDict", case / "system/snappyHexMeshDict"
        block.write_text(_HEAD.format(name=block.name) + _block_mesh(shape, lengths), encoding="ascii")
        snappy.write_text(_HEAD.format(name=snappy.name) + _SNAPPY.replace("INSIDE", _vector(inside)), encoding="ascii")
        notes = ["lengths in m" if sample.unit else "lengths in pixels: say --pixel-size 0.5um"]
        return [snappy, block, stl], [*notes, f"locationInMesh {_vector(inside)} lies in phase {phase}"]


def deepest(phase: NDArray[np.bool_], spacing: tuple[float, ...]) -> NDArray[np.float64]:
    """Returns the centre of the voxel that is farthest from outside the phase and the box, `(3,)`."""
    distance = ndimage.distance_transform_edt(np.pad(phase, 1), sampling=spacing)
    place = np.array(np.unravel_index(np.argmax(distance), distance.shape)) - 1
    # A little off the centre, where faces of the background mesh and of its refinements never lie.
    return (place + 0.5 + 0.137) * np.array(spacing)


def walls(points: NDArray[np.float64], triangles: NDArray[np.int64], lengths: tuple[float, ...]) -> NDArray[np.int64]:
    """Returns the triangles of a closed surface that do not lie on the box's faces, where the fluid goes in and out."""
    on_face = np.zeros(len(triangles), bool)
    for axis, length in enumerate(lengths):
        places = points[triangles, axis]
        on_face |= (places == 0).all(1) | (places == length).all(1)
    return triangles[~on_face]


def _block_mesh(shape: tuple[int, ...], lengths: NDArray[np.float64]) -> str:
    corners = [(i, j, k) for k in (0, 1) for i, j in ((0, 0), (1, 0), (1, 1), (0, 1))]
    vertices = "\n".join(f"    {_vector(np.array(corner) * lengths)}" for corner in corners)
    faces = {
        "xMin": (0, 4, 7, 3), "xMax": (1, 2, 6, 5), "yMin": (0, 1, 5, 4),
        "yMax": (3, 7, 6, 2), "zMin": (0, 3, 2, 1), "zMax": (4, 5, 6, 7),
    }  # fmt: skip
    patches = "\n".join(
        f"    {name} {{ type patch; faces (({' '.join(map(str, face))})); }}" for name, face in faces.items()
    )
    return f"""
scale 1;
vertices
(
{vertices}
);
blocks ( hex (0 1 2 3 4 5 6 7) ({" ".join(map(str, shape))}) simpleGrading (1 1 1) );
boundary
(
{patches}
);
"""


def _vector(values: NDArray[np.float64]) -> str:
    return f"({' '.join(f'{value:.9g}' for value in values)})"


_SNAPPY = """
castellatedMesh true;
snap            true;
addLayers       false;

geometry
{
    phase { type triSurfaceMesh; file "phase.stl"; }
}

castellatedMeshControls
{
    maxLocalCells       2000000;
    maxGlobalCells      20000000;
    minRefinementCells  0;
    nCellsBetweenLevels 1;
    features            ();
    refinementSurfaces  { phase { level (1 1); } }
    resolveFeatureAngle 30;
    refinementRegions   {}
    locationInMesh      INSIDE;
    allowFreeStandingZoneFaces true;
}

snapControls
{
    nSmoothPatch 3;
    tolerance    2.0;
    nSolveIter   30;
    nRelaxIter   5;
}

addLayersControls {}

meshQualityControls
{
    maxNonOrtho         65;
    maxBoundarySkewness 20;
    maxInternalSkewness 4;
    maxConcave          80;
    minVol              1e-30;
    minTetQuality       1e-30;
    minArea             -1;
    minTwist            0.02;
    minDeterminant      0.001;
    minFaceWeight       0.02;
    minVolRatio         0.01;
    minTriangleTwist    -1;
    nSmoothScale        4;
    errorReduction      0.75;
}

mergeTolerance 1e-6;
"""
