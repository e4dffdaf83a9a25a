"""The public function: what it takes, what its result is like, and what it refuses; numbers against laminates."""

import doctest
import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

from microdesign.cli.main import main
from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.io.writers import write
from microdesign.physics import effective_properties
from microdesign.physics.effective_properties import homogenize, phases_from
from microdesign.physics.evaluators import table
from microdesign.physics.label_images import read_labels
from microdesign.physics.materials import Materials
from microdesign.physics.report import homogenize_report

PHASES = [{"E": 1, "nu": 0.3, "k": 1}, {"E": 4, "nu": 0.3, "k": 4}]
LAYERS = np.repeat([[0], [1]], 4, axis=0).repeat(6, axis=1)
HARMONIC, ARITHMETIC = 1.6, 2.5


def test_doctests() -> None:
    for module in (effective_properties, table):
        found = doctest.testmod(module)
        assert found.attempted, module.__name__
        assert not found.failed, module.__name__


def test_one_image_has_numbers_and_several_have_arrays() -> None:
    one = homogenize(LAYERS, PHASES)
    assert (one.kx, one.ky) == (pytest.approx(HARMONIC, rel=1e-3), pytest.approx(ARITHMETIC, rel=1e-3))
    assert one["ky/kx"] == one.ky / one.kx
    assert one.stiffness.shape == (3, 3)
    assert one.conductivity.shape == (2, 2)
    both = homogenize(np.stack([LAYERS, np.zeros_like(LAYERS)]), PHASES)
    assert both.kx == pytest.approx([HARMONIC, 1], rel=1e-3)
    assert both.stiffness.shape == (2, 3, 3)
    assert both.volume_fractions.tolist() == [[0.5, 0.5], [1, 0]]
    assert {"kx", "Ex", "stiffness"} <= set(dir(both))
    assert list(both.table()) == ["image", "boundary", "Ex", "vxy", "Ey", "vyx", "Gxy", "kx", "ky"]
    assert both.table()["kx"] == both.kx.tolist()
    assert not hasattr(both, "kz")
    with pytest.raises(AttributeError, match="'kz'; its properties are Ex, vxy"):
        _ = both.kz


def test_volumes() -> None:
    volume = LAYERS[:, :, None].repeat(5, axis=2)
    one = homogenize(volume, PHASES, dims=3)
    assert (one.k11, one.k33) == (pytest.approx(HARMONIC, rel=1e-3), pytest.approx(ARITHMETIC, rel=1e-3))
    assert one.stiffness.shape == (6, 6)
    assert homogenize(volume[None], PHASES).k22 == pytest.approx([ARITHMETIC], rel=1e-3)
    longer = homogenize(volume, PHASES, dims=3, spacing=(1, 1, 7))
    assert longer.k33 == pytest.approx(one.k33, rel=1e-3)


def test_whatever_holds_an_image_will_do(tmp_path: Path) -> None:
    images = Microstructures(labels=np.stack([LAYERS, LAYERS.T.repeat(2, axis=0)[:8, :6]]), n_phases=2)
    expected = homogenize(images, PHASES).kx
    write(tmp_path / "stack.npy", images)
    np.save(tmp_path / "small.npy", LAYERS[2:6])
    write(tmp_path / "folder", images, "png")
    for given in (images.labels, images.labels.tolist(), tmp_path / "stack.npy", str(tmp_path / "folder")):
        np.testing.assert_allclose(homogenize(given, PHASES).kx, expected, err_msg=str(given))
    several = homogenize([tmp_path / "stack.npy", tmp_path / "small.npy"], PHASES)
    assert several.names == (*(f"{tmp_path / 'stack.npy'}[{i}]" for i in range(2)), str(tmp_path / "small.npy"))
    np.testing.assert_allclose(several.kx[:2], expected)
    assert isinstance(homogenize(tmp_path / "small.npy", PHASES).kx, float)


@pytest.mark.parametrize("dims", [2, 3])
def test_images_of_any_format(tmp_path: Path, dims: int) -> None:
    labels = np.random.default_rng(0).integers(0, 2, (3, *(8, 6, 4)[:dims]), dtype=np.uint8)
    np.save(tmp_path / "images.npy", labels)
    for name in ("folder", "images.tif", "vti", "images.h5"):
        write(tmp_path / name, Microstructures(labels=labels, n_phases=2), "vti" if name == "vti" else None)
    for name in ("images.npy", "folder", "images.tif", "vti", "images.h5"):
        found = read_labels(tmp_path / name, dims)
        assert [each[0] for each in found] == [f"{tmp_path / name}[{i}]" for i in range(3)], name
        np.testing.assert_array_equal([each[1] for each in found], labels, err_msg=name)
    with pytest.raises(InputError, match="is no NumPy array file"):
        read_labels(tmp_path / "images.tif", dims, reader="npy")


def test_whatever_states_phases_will_do(tmp_path: Path) -> None:
    (tmp_path / "phases.yaml").write_text(json.dumps({"phases": PHASES, "plane": "strain"}))
    whole = Materials(phases=PHASES, plane="strain")
    for given in (whole, {"phases": PHASES, "plane": "strain"}, str(tmp_path / "phases.yaml")):
        assert phases_from(given) == whole
        assert phases_from(given, plane="stress") == Materials(phases=PHASES)
        assert phases_from(given, units={"E": "GPa", "k": "W/mK"}).units.E == "GPa"
    assert phases_from(PHASES, "strain") == whole


def test_units_are_shown() -> None:
    stated = homogenize(LAYERS, PHASES, units={"E": "G<Pa"})
    assert "Ey = 2.5 [G<Pa]" in repr(stated)
    assert "vyx = 0.3\n" in repr(stated)
    assert "<th>Ex [G&lt;Pa]</th>" in stated._repr_html_()
    many = homogenize(np.stack([LAYERS] * 25), PHASES)
    assert "EffectiveProperties of 25 images: Ex" in repr(many)
    assert many._repr_html_().count("<tr>") == 21
    assert "and 5 more images" in many._repr_html_()


def test_a_solid_that_does_not_hang_together_has_zeros_and_undefined_ratios() -> None:
    result = homogenize(LAYERS, [PHASES[0], {"E": 0, "nu": 0.3, "k": 1}])
    assert (result.stiffness[0, 0], result.Ex, result.Gxy, result["Ex/Ey"]) == (0, 0, 0, 0)
    assert result.Ey == pytest.approx(0.5)
    assert all(np.isnan(result[name]) for name in ("vxy", "vyx", "Ey/Ex"))
    assert (result["K"], result["G"], result["E"]) == (0, 0, 0)
    assert np.isnan(result.table()["vxy"][0])
    assert result.documents()[0]["properties"]["vxy"] is None
    assert result.kx == pytest.approx(1)


def test_images_that_do_not_repeat_are_mirrored(tmp_path: Path) -> None:
    scan = Microstructures(labels=LAYERS[None, 1:], n_phases=2, periodic=False)
    write(tmp_path / "scan", scan, "dataset")
    expected = homogenize(np.pad(LAYERS[1:], [(0, 7), (0, 6)], mode="symmetric"), PHASES, tolerance=1e-9)
    for given in (scan, tmp_path / "scan"):
        found = homogenize(given, PHASES, tolerance=1e-9)
        assert set(found.boundaries) == {"mirror"}
        assert found.table()["boundary"] == ["mirror"]
        np.testing.assert_allclose(found.Ex, expected.Ex, rtol=1e-7)
    seam = np.roll(np.eye(8, dtype=int), 3, 0)
    assert homogenize(seam, PHASES).boundaries == ("periodic",)
    assert "(mirror boundary)" in repr(homogenize(seam, PHASES, boundary="mirror"))
    mixed = homogenize([tmp_path / "scan", tmp_path / "scan"], PHASES, boundary="periodic")
    assert mixed.boundaries == ("periodic", "periodic")
    with pytest.raises(InputError, match="boundary = 'open' is unknown; expected one of auto, periodic, mirror"):
        homogenize(LAYERS, PHASES, boundary="open")


def test_what_is_refused() -> None:
    for image, phases, settings, message in (
        (LAYERS, [{"E": 1}], {}, "the phases: 'phases.0.*' .*E is given without nu"),
        (LAYERS, [{"k": 1}], {}, "image 0 has label 1, but the materials define 1 phase"),
        (LAYERS, PHASES, {"plane": "stretch"}, "the phases: 'plane' = 'stretch' is not valid"),
        (LAYERS / 2, PHASES, {}, "labels are of type float64; expected integers"),
        (LAYERS[0], PHASES, {}, r"the image has shape \(6,\); expected \(X, Y\), \(n, X, Y\) or"),
        (LAYERS, PHASES, {"dims": 3}, r"the image has shape \(8, 6\); expected 3 or 4 axes"),
        (LAYERS, PHASES, {"dims": 4}, "dims = 4 is out of range; expected 2 or 3"),
        (LAYERS, PHASES, {"spacing": (1, 2, 3)}, "spacing = .* is not valid; expected 2 lengths"),
        ("nothing.npy", PHASES, {}, "nothing.npy"),
    ):
        with pytest.raises(InputError, match=message):
            homogenize(image, phases, **settings)


def test_it_starts_without_heavy_libraries() -> None:
    program = (
        "import sys, numpy\n"
        "from microdesign.physics.effective_properties import homogenize\n"
        "homogenize(numpy.eye(8, dtype=int), [{'k': 1}, {'k': 2}])\n"
        "heavy = {'torch', 'ray', 'mlflow', 'pyarrow', 'h5py', 'tifffile', 'PIL', 'scipy.optimize', 'pandas'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_edges_of_bricks_are_those_of_the_file(tmp_path: Path) -> None:
    """A volume of bricks, as a file or a container, is solved as the array with its spacing, unless one is given."""
    labels = np.zeros((4, 4, 4), int)
    labels[:2, :2, :3] = 1
    conductive = [{"k": 1}, {"k": 4}]
    bricks = Microstructures(labels=labels[None], n_phases=2, pixel_size=0.5, aspect=(1, 1, 4))
    path = write(tmp_path / "a.vti", bricks)
    known = homogenize(labels, conductive, dims=3, spacing=(0.5, 0.5, 2)).k33
    cubes = homogenize(labels, conductive, dims=3).k33
    assert abs(known - cubes) > 0.01
    for given in (path, bricks):
        assert np.ravel(homogenize(given, conductive, dims=3).k33) == pytest.approx([known])
        assert np.ravel(homogenize(given, conductive, dims=3, spacing=(1, 1, 1)).k33) == pytest.approx([cubes])
    (entry,) = homogenize_report(read_labels(path, 3), phases_from(conductive), dims=3)
    assert entry["properties"]["k33"] == pytest.approx(known)


def test_a_file_of_images_or_volumes_is_read_by_dims(tmp_path: Path) -> None:
    """Pages along two axes without names: the file does not say, and `dims` of homogenize does."""
    labels = np.random.default_rng(0).integers(0, 2, (2, 3, 5, 4)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", labels, photometric="minisblack")
    with pytest.raises(InputError, match="--dims 2 for 6 images"):
        read_labels(tmp_path / "a.tif")
    assert [each.labels.shape for each in read_labels(tmp_path / "a.tif", 2)] == [(4, 5)] * 6
    assert [each.labels.shape for each in read_labels(tmp_path / "a.tif", 3)] == [(4, 5, 3)] * 2


def test_options_of_reading_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["image"] = LAYERS.reshape(1, -1)[:, :36].repeat(2, 0)
    (tmp_path / "m.yaml").write_text("phases: [{k: 1}, {k: 4}]")
    command = ["microdesign", "homogenize", str(tmp_path / "a.h5"), "--materials", str(tmp_path / "m.yaml"), "--json"]
    for shape, count, code in ((None, 0, 2), ("2,36", 1, 0), ("6,6", 2, 0)):
        monkeypatch.setattr(sys, "argv", [*command, *(["--shape", shape] if shape else [])])
        with pytest.raises(SystemExit) as ended:
            sys.exit(main())
        assert (ended.value.code or 0) == code, shape
        out = capsys.readouterr()
        if code:
            assert "say which by --shape 2,36 or --shape 6,6" in out.err
        else:
            assert len(json.loads(out.out)) == count
