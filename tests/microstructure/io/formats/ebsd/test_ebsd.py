from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from microdesign.core.errors import InputError
from microdesign.microstructure.io.formats.ebsd.reader import read_scan
from microdesign.microstructure.io.formats.ebsd.scan import FRAMES
from microdesign.microstructure.io.readers import describe, read
from tests.microstructure.io.formats.ebsd.scans import WRITERS, write_ang, write_ctf, write_h5oina

PHASE = np.random.default_rng(0).integers(1, 3, (5, 4))
EULER = np.random.default_rng(1).random((5, 4, 3)) * [360, 180, 360]
TWO = (("Ferrite", "m-3m"), ("Quartz", "-3m"))


def test_phases_come_out_with_x_to_the_right_and_y_down(tmp_path: Path) -> None:
    for suffix, write in WRITERS.items():
        path = write(tmp_path / f"a{suffix}", PHASE, EULER, TWO)
        batch = read(path)
        np.testing.assert_array_equal(batch.labels[0], PHASE - 1, suffix)
        assert (batch.n_phases, batch.periodic, batch.spacing, batch.length_unit) == (2, False, (0.5, 0.25), "um"), (
            suffix
        )
        found = describe(path)["phases_of_the_scan"]
        assert [(name, each["label"], each["laue_group"]) for name, each in found.items()] == [
            ("Ferrite", 0, "m-3m"),
            ("Quartz", 1, "-3m"),
        ], suffix
        # Radians in .ang and .h5oina, degrees in .ctf.
        np.testing.assert_allclose(np.degrees(read_scan(path).euler), EULER, atol=1e-3, err_msg=suffix)


def test_points_that_are_not_indexed_are_label_0(tmp_path: Path) -> None:
    some = PHASE * (np.arange(4) > 0)
    for suffix, write in WRITERS.items():
        path = write(tmp_path / f"a{suffix}", some, EULER, TWO)
        batch = read(path)
        np.testing.assert_array_equal(batch.labels[0], some, suffix)
        assert batch.n_phases == 3, suffix
        assert describe(path)["indexed"] == pytest.approx(0.75), suffix
        # One phase alone has the number 0 in .ang.
        one = write(tmp_path / f"b{suffix}", np.minimum(some, 1), EULER)
        np.testing.assert_array_equal(read(one).labels[0], np.minimum(some, 1), suffix)
        full = write(tmp_path / f"c{suffix}", np.ones_like(some), EULER)
        np.testing.assert_array_equal(read(full).labels[0], 0 * some, suffix)


def axes_of(path: Path) -> np.ndarray:
    """The axes of the crystal, columns, in those of the map."""
    return read_scan(path).rotations()[0].as_matrix()


def test_axes_of_the_sample(tmp_path: Path) -> None:
    """Crystals that are turned about the beam alone, drawn by hand: the map has y down and z into the specimen."""
    c, s = np.cos(np.radians(30)), np.sin(np.radians(30))
    one, turned = np.ones((2, 2), int), np.broadcast_to([30.0, 0.0, 0.0], (2, 2, 3))
    # Oxford: y up, z out. Counterclockwise from x by 30 degrees is up the map.
    oxford = np.array([[c, -s, 0], [-s, -c, 0], [0, 0, -1]])
    # EDAX: x down the map, y to its right, z out. From down towards the right.
    edax = np.array([[s, c, 0], [c, -s, 0], [0, 0, -1]])
    for suffix, expected in ((".ctf", oxford), (".h5oina", oxford), (".ang", edax)):
        path = WRITERS[suffix](tmp_path / f"a{suffix}", one, turned)
        np.testing.assert_allclose(axes_of(path), expected, atol=1e-5, err_msg=suffix)
        own = read_scan(path).rotations("map")[0].as_matrix()
        np.testing.assert_allclose(own, [[c, -s, 0], [s, c, 0], [0, 0, 1]], atol=1e-5, err_msg=suffix)


def test_frames_are_those_of_other_programs() -> None:
    """MTEX turns by 180 degrees about x (.ctf) and x + y (.ang); DREAM.3D too, but for a half turn about z."""
    axes = {"x": [1, 0, 0], "y": [0, 1, 0], "z": [0, 0, 1], "x + y": [0.5**0.5, 0.5**0.5, 0]}
    half = {name: Rotation.from_rotvec(np.pi * np.array(axis)).as_matrix() for name, axis in axes.items()}
    np.testing.assert_allclose(FRAMES["oxford"], half["x"], atol=1e-12)
    np.testing.assert_allclose(FRAMES["edax"], half["x + y"], atol=1e-12)
    quarter = Rotation.from_euler("Z", 90, degrees=True).as_matrix()
    np.testing.assert_allclose(FRAMES["oxford"], half["z"] @ half["y"], atol=1e-12)
    dream3d = half["y"] @ quarter
    assert any(np.allclose(FRAMES["edax"], turn @ dream3d) for turn in (np.eye(3), half["z"]))


def test_x_of_a_hexagonal_crystal_is_along_a(tmp_path: Path) -> None:
    """Oxford's x is along a*, 30 degrees from a towards b: in the map's axes, y down, a then points down."""
    c, s = np.cos(np.radians(30)), np.sin(np.radians(30))
    one, zero = np.ones((2, 2), int), np.zeros((2, 2, 3))
    for laue in ("6/mmm", "-3m"):
        for suffix in (".ctf", ".h5oina"):
            path = WRITERS[suffix](tmp_path / f"{laue[0]}{suffix}", one, zero, (("Ti", laue),))
            np.testing.assert_allclose(axes_of(path)[:, 0], [c, s, 0], atol=1e-6, err_msg=f"{laue} {suffix}")
        path = write_ang(tmp_path / "a.ang", one, zero, (("Ti", laue),))
        np.testing.assert_allclose(axes_of(path)[:, 0], [0, 1, 0], atol=1e-6, err_msg=laue)


def test_a_sample_that_was_turned_needs_a_frame(tmp_path: Path) -> None:
    path = write_ctf(tmp_path / "a.ctf", PHASE, EULER, TWO)
    path.write_text(path.read_text().replace("AcqE1\t0", "AcqE1\t90"))
    assert read(path).n_phases == 2
    with pytest.raises(InputError, match=r"states acquisition angles \[90.0, 0.0, 0.0\], .*by --frame"):
        read_scan(path).rotations()
    assert len(read_scan(path).rotations("oxford")) == 20
    with pytest.raises(InputError, match="frame = 'tsl' is unknown; expected one of: map, oxford, edax"):
        read_scan(path).rotations("tsl")


def test_decimal_commas(tmp_path: Path) -> None:
    dots, commas = (write_ctf(tmp_path / f"{c}.ctf", PHASE, EULER, TWO, comma=c) for c in (False, True))
    np.testing.assert_array_equal(read_scan(dots).euler, read_scan(commas).euler)
    assert read_scan(commas).spacing == (0.5, 0.25)


def test_several_maps_of_a_file(tmp_path: Path) -> None:
    write_h5oina(tmp_path / "a.h5oina", PHASE, EULER, TWO)
    path = write_h5oina(tmp_path / "a.h5oina", 3 - PHASE, EULER, TWO, name="2")
    with pytest.raises(InputError, match="holds 2 EBSD maps; expected one of --array 1, 2"):
        read(path)
    np.testing.assert_array_equal(read(path, array="2").labels[0], 2 - PHASE)
    with pytest.raises(InputError, match="has no acquisition '3'; expected one of --array 1, 2"):
        read(path, array="3")
    with pytest.raises(InputError, match=r"--array has no meaning for a \.ctf file"):
        read(write_ctf(tmp_path / "a.ctf", PHASE, EULER, TWO), array="1")


def test_refuses(tmp_path: Path) -> None:
    ang, ctf = write_ang(tmp_path / "a.ang", PHASE, EULER, TWO), write_ctf(tmp_path / "a.ctf", PHASE, EULER, TWO)
    for path, old, new, message in [
        (ang, "SqrGrid", "HexGrid", "has a hexagonal grid; expected a square one"),
        (ang, "NROWS: 4", "NROWS: 5", "holds 20 points; expected 5 x 5 by its header"),
        (ang, "# XSTEP: 0.500000", "# XSTEP: 0", r"has steps \(0.0, 0.25\); expected two lengths above 0"),
        (ang, "# XSTEP", "# STEPX", "has no number XSTEP in its header"),
        (
            ang,
            "Symmetry              43",
            "Symmetry              99",
            "phase 1 has the symmetry '99'; expected one of",
        ),
        (ang, "0.9 2 1", "0.9 3 1", "has phase 3; expected 0 to 2"),
        (ang, "60.0", "oops", None),
        (
            ctf,
            "JobMode\tGrid",
            "JobMode\tInteractive",
            "has the job mode 'Interactive'; expected a map",
        ),
        (ctf, "XCells\t5", "XCells\t6", "holds 20 points; expected 6 x 4 by its header"),
        (ctf, "Nickel\t11", "Nickel\t12", None),
        (ctf, "Ferrite\t11", "Ferrite\t12", "has a phase of Laue group '12'; expected 1 to 11"),
        (ctf, "Euler1", "Eulr1", "its table has no column 'Euler1'"),
        (ctf, "Channel", "Chanel", "does not begin with 'Channel Text File'"),
        (ctf, "XStep\t0.5", "XStep\tx", "has no number XStep in its header"),
    ]:
        text = path.read_text(encoding="latin-1")
        changed = path.with_stem("changed")
        changed.write_text(text.replace(old, new), encoding="latin-1")
        if message is None:  # A column that does not matter, or nothing to change.
            assert read(changed).n_phases == 2, new
            continue
        with pytest.raises(InputError, match=message) as caught:
            read(changed)
        assert str(changed) in str(caught.value)
    for path in (ang, ctf):
        text = path.read_text(encoding="latin-1")
        cut = path.with_stem("cut")
        for keep in (len(text) - 300, len(text) // 2, 60, 0):
            cut.write_text(text[:keep], encoding="latin-1")
            with pytest.raises(InputError, match="cut"):
                read(cut)
    path = write_h5oina(tmp_path / "a.h5oina", PHASE, EULER, TWO)
    with h5py.File(path, "r+") as file:
        del file["1/EBSD/Header/X Step"]
    with pytest.raises(InputError, match="'1/EBSD' is damaged"):
        read(path)
    (tmp_path / "b.h5oina").write_text("text")
    with pytest.raises(InputError, match="is no HDF5 file"):
        read(tmp_path / "b.h5oina")
