"""A deck for Abaqus and CalculiX that runs: voxel elements, periodic equations, materials and load cases.

The macroscopic strain is the displacement of two nodes without elements, the set STRAINS: the first has the strains xx,
yy, zz, the second the engineering shears yz, xz, xy. Every node on a far face follows its image on the near face,
u(x + L) = u(x) + E L, and each step sets one strain to 1 and the others to 0. A column of the effective stiffness is
then the reaction forces of STRAINS over the volume, in Abaqus. CalculiX gives none at nodes without elements; there the
total force on each far face over its area is the stress (`calculix` reads it).

CalculiX integrates C3D8 fully: its answer is that of the discretization `q1`. Abaqus takes the mean dilatation in C3D8,
as `q1bbar` does.
"""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from microdesign.core.errors import InputError
from microdesign.export.constants import ABAQUS, upper_by_columns
from microdesign.export.grid import grid_cells, grid_nodes
from microdesign.export.protocol import ExportOptions, Sample
from microdesign.physics.materials import Materials
from microdesign.physics.tensors import PAIRS

VOID = 1e-6
"""Modulus of a void over the largest of the phases: solvers need some, and the tensors do not see it."""
_COMPONENTS = ("xx", "yy", "zz", "yz", "xz", "xy")
_PLATE = (0, 1, 5)
"""The strains that a plate with free faces takes: those in its plane."""


class InpExporter:
    """Writes `NAME.inp`.

    An image becomes a plate of one element's thickness: of materials in plane strain it continues along z, and there
    are six load cases; in plane stress its faces are free, and there are the three in the plane.
    """

    takes = ()

    def write(self, sample: Sample, folder: Path, options: ExportOptions) -> tuple[list[Path], list[str]]:
        """Writes the deck.

        Raises:
            InputError: The phases have no stiffness, or the sample is not periodic.
        """
        materials = sample.given_materials("stiffness")
        if not sample.periodic:
            raise InputError(
                f"{sample.source}: is not periodic, and the deck ties opposite faces together; "
                "say --periodic to have its seams count as they are."
            )
        plate = sample.is_image and materials.plane == "stress"
        solid = sample.extruded()
        path = folder / f"{sample.name}.inp"
        with path.open("w", encoding="ascii", errors="replace") as file:
            _write_deck(file, solid, materials, plate)
        notes = [f"volume {_volume(solid):.9g}; the head of the deck says how to read the effective stiffness"]
        if plate:
            notes.append("a thin sheet: its faces are free, and the load cases are xx, yy and xy")
        if any(_is_void(C) for C in _stiffnesses(materials, sample.phases)):
            notes.append(f"voids have {VOID:g} of the largest modulus")
        return [path], notes


def _write_deck(file: TextIO, solid: Sample, materials: Materials, plate: bool) -> None:
    shape, phases = solid.labels.shape, solid.phases
    nodes, cells, flat = grid_nodes(shape, solid.spacing), grid_cells(shape) + 1, solid.labels.ravel()
    first = len(nodes) + 1
    loads = _PLATE if plate else tuple(range(6))
    _lines(
        file,
        "*HEADING",
        f" {solid.name}: {solid.size}, by microdesign",
        f"** Lengths in {solid.unit or 'pixels'}, unit of E: {materials.units.E}; volume {_volume(solid):.12g}.",
        f"** The steps set the strains {', '.join(_COMPONENTS[load] for load in loads)} to 1, shears as gamma.",
        f"** Node {first} has the strains xx, yy, zz as its displacements, node {first + 1} the shears yz, xz, xy.",
        "** Effective stiffness: their reaction forces in a step over the volume are its column.",
        "*NODE, NSET=GRID",
    )
    numbers = np.arange(1, first)[:, None]
    np.savetxt(file, np.hstack([numbers, nodes]), fmt=["%d", "%.9g", "%.9g", "%.9g"], delimiter=", ")
    _lines(file, "*NODE, NSET=STRAINS", f"{first}, 0, 0, 0", f"{first + 1}, 0, 0, 0")
    faces = ("FACE_X", "FACE_Y") if plate else ("FACE_X", "FACE_Y", "FACE_Z")
    corners = np.arange(1, first).reshape([n + 1 for n in shape])
    for axis, face in enumerate(faces):
        _lines(file, f"*NSET, NSET={face}")
        far = corners.take(-1, axis).ravel().tolist()
        _lines(file, *(", ".join(map(str, far[start : start + 16])) for start in range(0, len(far), 16)))
    elements = np.hstack([np.arange(1, len(cells) + 1)[:, None], cells])
    for phase in phases:
        _lines(file, f"*ELEMENT, TYPE=C3D8, ELSET=PHASE_{phase}")
        np.savetxt(file, elements[flat == phase], fmt="%d", delimiter=", ")
    largest = max(float(C.max()) for C in _stiffnesses(materials, phases))
    for phase, C in zip(phases, _stiffnesses(materials, phases), strict=True):
        _lines(file, f"*MATERIAL, NAME=PHASE_{phase}", *_elastic(materials, phase, C, largest))
        _lines(file, f"*SOLID SECTION, ELSET=PHASE_{phase}, MATERIAL=PHASE_{phase}")
    _lines(file, "*EQUATION")
    file.writelines(f"{line}\n" for line in _equations(shape, solid.lengths, first, plate))
    for load in loads:
        _lines(
            file,
            "*STEP",
            "*STATIC",
            "*BOUNDARY, OP=NEW",
            "1, 1, 3",
            *(f"{first + each // 3}, {each % 3 + 1}, {each % 3 + 1}, {float(each == load)}" for each in loads),
            "*NODE PRINT, NSET=STRAINS",
            "RF",
            *(line for face in faces for line in (f"*NODE PRINT, NSET={face}, TOTALS=YES", "RF")),
            "*END STEP",
        )


def _equations(shape: tuple[int, ...], lengths: tuple[float, ...], first: int, plate: bool) -> Iterator[str]:
    """Lines of the equations that tie each node on a far face to its image on the near faces."""
    tied = 2 if plate else 3  # axes along which it repeats
    grid = np.stack(np.unravel_index(np.arange(first - 1), [n + 1 for n in shape]), axis=1)
    far = grid == np.array(shape)
    far[:, tied:] = False
    slaves = np.flatnonzero(far.any(1))
    near = np.ravel_multi_index(tuple(np.where(far, 0, grid)[slaves].T), [n + 1 for n in shape])
    for slave, master, steps in zip((slaves + 1).tolist(), (near + 1).tolist(), far[slaves].tolist(), strict=True):
        for axis in range(3):
            strains = ((_strain(axis, along, first), along) for along in range(3) if steps[along])
            terms = [(slave, axis + 1, 1.0), (master, axis + 1, -1.0)]
            # A plate that bends no way has no strains along z.
            terms += [
                (*strain, -lengths[along] * (1.0 if along == axis else 0.5))
                for strain, along in strains
                if not (plate and axis == 2)
            ]
            yield str(len(terms))
            texts = [f"{node}, {degree}, {factor:.12g}" for node, degree, factor in terms]
            yield from (", ".join(texts[start : start + 4]) for start in range(0, len(texts), 4))


def _strain(axis: int, along: int, first: int) -> tuple[int, int]:
    """Node and degree of freedom that are the strain of a pair of axes."""
    pair = (min(axis, along), max(axis, along))
    component = [tuple(sorted(each)) for each in PAIRS[3]].index(pair)
    return first + component // 3, component % 3 + 1


def _stiffnesses(materials: Materials, phases: list[int]) -> list[NDArray[np.float64]]:
    tensors = materials.stiffness_tensors(3)
    assert tensors is not None
    return [tensors[phase] for phase in phases]


def _elastic(materials: Materials, phase: int, C: NDArray[np.float64], largest: float) -> list[str]:
    given = materials.phases[phase]
    if _is_void(C):
        return ["*ELASTIC", f"{VOID * largest:.9g}, 0"]
    if given.E is not None:
        return ["*ELASTIC", f"{given.E:.12g}, {given.nu:.12g}"]
    return aniso(C)


def aniso(C: NDArray[np.float64]) -> list[str]:
    """Returns the lines of `*ELASTIC, TYPE=ANISO` of a stiffness `(6, 6)`; Abaqus and CalculiX read the same."""
    constants = [f"{value:.9g}" for value in upper_by_columns(C, ABAQUS)]
    return ["*ELASTIC, TYPE=ANISO", *(", ".join(constants[start : start + 8]) for start in (0, 8, 16))]


def _is_void(C: NDArray[np.float64]) -> bool:
    return not C.any()


def _volume(solid: Sample) -> float:
    return float(np.prod(solid.lengths))


def _lines(file: TextIO, *lines: str) -> None:
    file.writelines(chain.from_iterable((line, "\n") for line in lines))
