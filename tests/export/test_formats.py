"""Each format, read back by a library of its own or by hand, holds the sample."""

import json
import re
from pathlib import Path
from typing import Any

import ezdxf
import h5py
import meshio
import numpy as np
import pytest
import yaml

import microdesign as md
from microdesign.core.errors import InputError
from microdesign.export.protocol import ExportOptions, Sample
from microdesign.export.registry import EXPORTERS, load_exporter
from microdesign.microstructure.data.container import Microstructures
from microdesign.physics.tensors import isotropic_stiffness
from tests.cases import case
from tests.export.decks import is_closed

PHASES: list[dict[str, Any]] = [{"E": "2 GPa", "nu": 0.3, "k": 1}, {"E": "50 GPa", "nu": 0.2, "k": 10}]


def batch(*shape: int, **fields: Any) -> Microstructures:
    x = np.stack(np.indices(shape)).astype(float)
    labels = np.cos(2 * np.pi * x / np.reshape(shape, (-1, *[1] * len(shape)))).sum(0) > 0.3
    return Microstructures(labels=labels[None], n_phases=2, **{"pixel_size": 0.5, "length_unit": "um", **fields})


IMAGE, VOLUME = batch(16, 12), batch(8, 6, 10)


def exported(folder: Path, sample: Any, to: str, **options: Any) -> list[Path]:
    (done,) = md.export(sample, to, folder / to, PHASES, **options)
    return list(done.files)


def test_every_format_writes_complete_files_twice_the_same(tmp_path: Path) -> None:
    for to in EXPORTERS:
        for sample in (IMAGE, VOLUME):
            if to in ("svg", "dxf") and sample is VOLUME:
                continue
            options: dict[str, Any] = {"phase": 1} if to == "openfoam-snappy" else {}
            with case(to=to, sample=sample):
                folder = tmp_path / str(len(sample.shape))
                first = exported(folder, sample, to, **options)
                assert first
                assert all(path.stat().st_size > 0 for path in first)
                assert first == exported(folder, sample, to, **options)  # the same content counts as done
                assert sorted(path for path in (folder / to).rglob("*") if path.is_file()) == sorted(first)


def test_meshes_have_the_phase_of_each_cell(tmp_path: Path) -> None:
    for sample, kind in ((IMAGE, "quad"), (VOLUME, "hexahedron")):
        for to, data, first in (("vtu", "phase", 0), ("msh", "gmsh:physical", 1), ("med", "cell_tags", None)):
            with case(to=to, kind=kind):
                mesh = meshio.read(exported(tmp_path / kind, sample, to)[0])
                (cells,) = mesh.cells
                assert cells.type == kind
                phases = np.asarray(mesh.cell_data[data][0])
                labels = -1 - phases if first is None else phases - first
                centres = mesh.points[cells.data].mean(1)[:, : len(sample.shape)]
                where = tuple(np.rint(centres / 0.5 - 0.5).astype(int).T)
                np.testing.assert_array_equal(labels, sample.labels[0][where])
                np.testing.assert_allclose(np.ptp(mesh.points, axis=0)[: len(sample.shape)], np.array(sample.shape) / 2)


def test_stl_is_closed_and_in_physical_units(tmp_path: Path) -> None:
    for sample, volume in ((IMAGE, 16 * 12 * 0.5**3), (VOLUME, 8 * 6 * 10 * 0.5**3)):
        total = 0.0
        for path in exported(tmp_path / str(volume), sample, "stl"):
            mesh = meshio.read(path)
            points, which = np.unique(mesh.points, axis=0, return_inverse=True)
            triangles = which.reshape(-1)[mesh.cells_dict["triangle"]]
            assert is_closed(triangles)
            a, b, c = (points[triangles[:, corner]].astype(float) for corner in range(3))
            total += float((a * np.cross(b, c)).sum() / 6)
        assert total == pytest.approx(volume, rel=0.01)


def test_damask_gets_si_units_and_crystals_with_their_orientation(tmp_path: Path) -> None:
    cubic = isotropic_stiffness(60, 25, 3) + np.diag([0, 0, 0, 15, 15, 15.0])
    crystal = {"stiffness": cubic.tolist(), "euler": [90, 0, 0]}
    phases = {"phases": [{"E": 2, "nu": 0.3}, crystal], "units": {"E": "GPa"}}
    (done,) = md.export(VOLUME, "damask", tmp_path, phases)
    grid, settings = done.files
    found = md.read(grid, array="material")
    np.testing.assert_array_equal(found.labels, VOLUME.labels)
    assert found.spacing == pytest.approx((5e-7,) * 3)
    document = yaml.safe_load(settings.read_text())
    elastic = document["phase"]["phase_0"]["mechanical"]["elastic"]
    C = isotropic_stiffness(2e9 * 0.3 / (1.3 * 0.4), 2e9 / 2.6, 3)
    assert [elastic[name] for name in ("C_11", "C_12", "C_44")] == pytest.approx([C[0, 0], C[0, 1], C[3, 3]])
    crystal_phase = document["phase"]["phase_1"]
    assert crystal_phase["lattice"] == "cI"
    assert crystal_phase["mechanical"]["elastic"]["C_44"] == pytest.approx(40e9)
    quaternion = document["material"][1]["constituents"][0]["O"]  # a quarter turn about z
    assert quaternion == pytest.approx([np.sqrt(0.5), 0, 0, np.sqrt(0.5)])


def test_fans_gets_the_labels_and_bulk_and_shear_moduli(tmp_path: Path) -> None:
    settings, grid = exported(tmp_path, VOLUME, "fans")
    document = json.loads(settings.read_text())
    place = document["microstructure"]
    assert place["L"] == [4.0, 3.0, 5.0]
    with h5py.File(grid.parent / place["filepath"]) as file:
        np.testing.assert_array_equal(file[place["datasetname"]][:], VOLUME.labels[0])
        assert file[place["datasetname"]].attrs["permute_order"] == "xyz"
    (material,) = document["materials"]
    assert material["matmodel"] == "LinearElasticIsotropic"
    properties = material["material_properties"]
    assert properties["bulk_modulus"] == pytest.approx([2 / (3 * 0.4), 50 / (3 * 0.6)])
    assert properties["shear_modulus"] == pytest.approx([2 / 2.6, 50 / 2.4])
    # Shears in Mandel's notation are scaled by sqrt(2) each, xy stands before xz and yz.
    C = np.diag([1.0, 1, 1, 0.4, 0.5, 0.6])
    (done,) = md.export(VOLUME, "fans", tmp_path / "crystal", [{"stiffness": C.tolist()}, {"E": 1, "nu": 0.3}])
    (material,) = json.loads(done.files[0].read_text())["materials"]
    values = material["material_properties"]
    assert [values[name][0] for name in ("C_44", "C_55", "C_66")] == pytest.approx([1.2, 1.0, 0.8])


def test_outlines_have_the_areas_of_the_phases_at_their_size(tmp_path: Path) -> None:
    areas = IMAGE.volume_fractions[0] * 8 * 6
    (svg,) = exported(tmp_path, IMAGE, "svg")
    text = svg.read_text()
    assert 'width="0.008mm" height="0.006mm" viewBox="0 0 8 6"' in text
    for phase, path in enumerate(re.findall(r' d="([^"]*)"', text)):
        rings = [np.array([p.split(",") for p in ring[1:].split("L")], float) for ring in path.split("Z")[:-1]]
        assert abs(sum(map(_area, rings))) == pytest.approx(areas[phase], rel=0.04)
    (larger,) = exported(tmp_path / "larger", IMAGE, "svg", pixel_size="1mm")
    assert 'width="16mm" height="12mm"' in larger.read_text()
    (dxf,) = exported(tmp_path, IMAGE, "dxf")
    document = ezdxf.readfile(dxf)
    assert document.header["$INSUNITS"] == 13  # microns
    for phase in (0, 1):
        lines = document.modelspace().query(f'LWPOLYLINE[layer=="PHASE_{phase}"]')
        assert all(line.closed for line in lines)
        found = sum(_area(np.array(line.get_points("xy"))) for line in lines)
        assert abs(found) == pytest.approx(areas[phase], rel=0.04)


def test_openfoam_starts_inside_the_fluid_and_has_open_ends(tmp_path: Path) -> None:
    snappy, block, stl = exported(tmp_path, VOLUME, "openfoam-snappy", phase=1)
    (point,) = re.findall(r"locationInMesh\s+\((.*?)\)", snappy.read_text())
    place = np.array(point.split(), float)
    voxel = tuple((place / 0.5e-6).astype(int))
    assert VOLUME.labels[0][voxel] == 1
    assert "(8 6 10) simpleGrading" in block.read_text()
    corners = meshio.read(stl).points
    np.testing.assert_allclose(corners.max(0), np.array(VOLUME.shape) * 0.5e-6, rtol=1e-6)
    triangles = corners[meshio.read(stl).cells_dict["triangle"]]
    for axis in range(3):
        assert not (triangles[..., axis] == 0).all(1).any()


def test_options_that_do_not_fit_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    refused: list[tuple[Any, str, dict[str, Any], str]] = [
        (IMAGE, "step", {}, "--to step: a STEP file describes"),
        (IMAGE, "blend", {}, "expected one of: inp, card, stl"),
        (IMAGE, "os:nothing", {}, "cannot be loaded"),
        (VOLUME, "svg", {}, "is a volume"),
        (IMAGE, "stl", {"phase": 2}, "has no phase 2; expected one of 0, 1"),
        (IMAGE, "stl", {"smooth": 9.0}, "expected 0 to 5 pixels"),
        (VOLUME, "openfoam-snappy", {}, "which phase is the fluid"),
        (np.zeros((2, 2, 2, 2, 2), int), "stl", {}, "expected"),
        (batch(8, 6, 10, periodic=False), "fans", {}, "is not periodic"),
        (batch(3, 6, 10), "fans", {}, "FANS takes 4 or more"),
    ]
    for sample, to, options, message in refused:
        with case(to=to, message=message), pytest.raises(InputError, match=message):
            md.export(sample, to, tmp_path / "out", PHASES, **options)
    assert not list(tmp_path.rglob("*.*"))


def test_other_content_is_not_replaced(tmp_path: Path) -> None:
    md.export(IMAGE, "svg", tmp_path)
    with pytest.raises(InputError, match=r"candidate.svg: is there already with other content"):
        md.export(IMAGE, "svg", tmp_path, smooth=0)


class Fractions:
    """An exporter of a user's own."""

    takes = ()

    def write(self, sample: Sample, folder: Path, options: ExportOptions) -> tuple[list[Path], list[str]]:
        path = folder / f"{sample.name}.txt"
        path.write_text(str((sample.labels == 1).mean()))
        return [path], []


def test_an_exporter_of_your_own(tmp_path: Path) -> None:
    (done,) = md.export(IMAGE, f"{__name__}:Fractions", tmp_path)
    assert float(done.files[0].read_text()) == pytest.approx(IMAGE.volume_fractions[0, 1])
    with pytest.raises(InputError, match="has no 'takes'"):
        load_exporter("math:pi")


def _area(line: np.ndarray) -> float:
    x, y = line.T
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)
