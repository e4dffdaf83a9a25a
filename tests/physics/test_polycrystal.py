from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from microdesign.core.errors import InputError
from microdesign.microstructure.io.formats.ebsd.reader import read_scan
from microdesign.physics.label_images import label_stacks
from microdesign.physics.materials import Materials, load_materials
from microdesign.physics.polycrystal import polycrystal, write_polycrystal
from tests.microstructure.io.formats.ebsd.scans import WRITERS, write_ctf

A, B, C = 246.5, 147.3, 124.7
CUBIC = np.diag([A - B] * 3 + [C] * 3)
CUBIC[:3, :3] += B
CUBIC = CUBIC.tolist()
NICKEL = Materials(phases=({"stiffness": CUBIC},))


def test_a_crystal_that_is_turned_about_the_beam(tmp_path: Path) -> None:
    """Against the tensor turned in the plane: up the map (y down) is a negative angle, EDAX counts from down."""
    one, euler = np.ones((4, 3), int), np.broadcast_to([20.0, 0.0, 0.0], (4, 3, 3))
    for suffix, angle in ((".ctf", -20.0), (".h5oina", -20.0), (".ang", 70.0)):
        scan = read_scan(WRITERS[suffix](tmp_path / f"a{suffix}", one, euler))
        images, materials, _ = polycrystal(scan, NICKEL)
        assert (images.labels.max(), images.periodic, images.spacing) == (0, False, (0.5, 0.25)), suffix
        expected = Materials(phases=({"stiffness": CUBIC, "angle": angle},))
        for dims in (2, 3):
            found, known = materials.stiffness_tensors(dims), expected.stiffness_tensors(dims)
            np.testing.assert_allclose(found, known, atol=1e-3 * A, err_msg=suffix)
        # The coupling of normal and shear strains, whose sign a wrong frame turns.
        assert abs(materials.stiffness_tensors(2)[0][0, 2]) > 0.1 * A


def test_from_a_scan_to_what_homogenize_takes(tmp_path: Path) -> None:
    """Three formats of one specimen give one answer: at each point the tensor of its crystal."""
    owner = np.arange(12)[:, None].repeat(8, 1) // 4
    turns = Rotation.random(3, random_state=0)
    frames = {".ang": Rotation.from_rotvec(np.pi * 0.5**0.5 * np.array([1, 1, 0]))}
    known = Materials(
        phases=tuple({"stiffness": CUBIC, "euler": angles} for angles in turns.as_euler("ZXZ", degrees=True).tolist())
    ).stiffness_tensors(3)
    for suffix, write in WRITERS.items():
        frame = frames.get(suffix, Rotation.from_rotvec([np.pi, 0, 0]))
        euler = (frame.inv() * turns).as_euler("ZXZ", degrees=True)[owner]
        path = write(tmp_path / f"a{suffix}", np.ones(owner.shape, int), euler)
        done = write_polycrystal(path, tmp_path / suffix[1:], NICKEL)
        assert (done["grains"], done["labels"], done["unchanged"], done["filled"]) == (3, 3, False, 0.0)
        assert write_polycrystal(path, tmp_path / suffix[1:], NICKEL)["unchanged"]
        ((stack,), single) = label_stacks(tmp_path / suffix[1:] / "grains.vti")
        assert (single, stack.periodic, stack.spacing) == (True, False, (0.5, 0.25)), suffix
        crystals = load_materials(tmp_path / suffix[1:] / "materials.yaml").stiffness_tensors(3)
        np.testing.assert_allclose(crystals[stack.labels[0]], known[owner], atol=0.001 * A, err_msg=suffix)
    with pytest.raises(InputError, match="is there already with other content"):
        write_polycrystal(path, tmp_path / "ctf", Materials(phases=({"E": 200, "nu": 0.3},)))


def test_isotropic_phases_are_one_label_each(tmp_path: Path) -> None:
    phase = np.where(np.arange(8)[:, None].repeat(6, 1) < 4, 1, 2)
    euler = np.where(np.arange(6)[None, :, None] < 3, [0.0, 0.0, 0.0], [30.0, 40.0, 50.0]) * np.ones((8, 1, 1))
    path = write_ctf(tmp_path / "a.ctf", phase, euler, (("Ni", "m-3m"), ("Glass", "m-3m")))
    crystals = Materials(phases=({"stiffness": CUBIC}, {"E": 70, "nu": 0.2}))
    images, materials, grains = polycrystal(read_scan(path), crystals)
    assert (len(grains), images.n_phases) == (4, 3)
    np.testing.assert_array_equal(images.labels[0] == 0, phase == 2)
    assert materials.phases[0].E == 70


def test_more_grains_than_an_image_holds(tmp_path: Path) -> None:
    shape = (60, 30)
    owner = (np.arange(60)[:, None] // 3) * 10 + np.arange(30) // 2
    euler = Rotation.random(owner.max() + 1, random_state=0).as_euler("ZXZ", degrees=True)[owner]
    scan = read_scan(write_ctf(tmp_path / "a.ctf", np.ones(shape, int), euler))
    with pytest.raises(InputError, match=r"a\.ctf: has 300 grains; an image holds 256 .* --classes 256"):
        polycrystal(scan, NICKEL)
    images, _, grains = polycrystal(scan, NICKEL, classes=100)
    assert images.n_phases == 100
    assert 0 < grains.deviation[1] < grains.deviation[0] < 20
    with pytest.raises(InputError, match="classes = 300 is out of range; expected 1 to 256"):
        polycrystal(scan, NICKEL, classes=300)


def test_refuses(tmp_path: Path) -> None:
    scan = read_scan(write_ctf(tmp_path / "a.ctf", np.ones((4, 3), int), np.zeros((4, 3, 3))))
    with pytest.raises(InputError, match=r"has 1 phases \(Nickel\) and the crystals 2; expected one for each, in that"):
        polycrystal(scan, Materials(phases=({"stiffness": CUBIC}, {"E": 1, "nu": 0.3})))
    with pytest.raises(InputError, match="phase 0 of the crystals has angles; leave them out"):
        polycrystal(scan, Materials(phases=({"stiffness": CUBIC, "angle": 10},)))
    with pytest.raises(InputError, match=r"is no EBSD scan; expected an .ang, .ctf or .h5oina file"):
        write_polycrystal(tmp_path / "a.png", tmp_path / "out", NICKEL)
    assert not (tmp_path / "out").exists()
