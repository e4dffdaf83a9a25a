"""Constraints on images whose widths, paths and symmetries are known."""

from pathlib import Path

import numpy as np
import pytest

from microdesign.core.config import validate_config
from microdesign.core.errors import InputError
from microdesign.design.target.constraints import Constraints

N = 24
STRIPES = np.zeros((N, N), np.uint8)  # along x
STRIPES[:, 4:10] = 1
BARS = np.ascontiguousarray(STRIPES.T)
CROSS = STRIPES | BARS
SQUARE = STRIPES & BARS
SPECK = STRIPES.copy()
SPECK[0, 18] = 1
DIAGONAL = ((np.add.outer(np.arange(N), np.arange(N)) % N) < 8).astype(np.uint8)
IMAGES = np.stack([STRIPES, BARS, CROSS, SQUARE, SPECK, DIAGONAL])
NAMES = ("stripes", "bars", "cross", "square", "speck", "diagonal")


def admitted(**values: object) -> set[str]:
    constraints = validate_config(Constraints, values, "the constraints")
    return {name for name, fine in zip(NAMES, constraints.admits(IMAGES), strict=True) if fine}


def test_who_is_admitted() -> None:
    for values, expected in [
        ({}, set(NAMES)),
        ({"volume_fraction": [0.2, 0.3]}, {"stripes", "bars", "speck"}),
        ({"percolates": {1: {"x": True}}}, {"stripes", "cross", "speck", "diagonal"}),
        ({"percolates": {1: {"x": False}}}, {"bars", "square"}),
        ({"percolates": {0: {"x": True}, 1: {"x": True}}}, {"stripes", "speck", "diagonal"}),
        ({"percolates": {"1": {"x": True, "y": False}}}, {"stripes", "speck"}),
        ({"connected": {1: 1.0}}, {"stripes", "bars", "cross", "square", "diagonal"}),
        ({"connected": {1: 0.99}}, set(NAMES)),
        ({"feature_size": {1: {"at_least": 6}}}, {"stripes", "bars", "cross", "square", "speck"}),
        ({"feature_size": {1: {"at_least": 6, "ignore": 0}}}, {"stripes", "bars", "cross", "square"}),
        ({"feature_size": {0: {"at_least": 18, "ignore": 0.4}}}, {"stripes", "bars", "cross", "square", "speck"}),
        ({"symmetry": {"mirror": 1e-6}}, {"stripes", "bars", "cross", "square", "speck"}),
        ({"symmetry": {"diagonal": 1e-6}}, {"cross", "square", "diagonal"}),
        ({"symmetry": {"turn": 1e-6}}, {"cross", "square"}),
    ]:
        assert admitted(**values) == expected, values


def test_designs_that_are_mirrored() -> None:
    """What lies at the faces meets its mirror image there, and not the other side."""
    corners = np.zeros((N, N), np.uint8)
    corners[:3, :8] = 1  # at the face x = 0, 6 pixels wide with its mirror image
    step = corners.copy()
    step[-1, :8] = 1  # periodic: 4 pixels wide across the seam; mirrored: 2 pixels of its own
    constraints = Constraints(
        feature_size={1: {"at_least": 6, "ignore": 0.0}}, percolates={1: {"x": True}}, connected={1: 1.0}
    )
    images = np.stack([corners, step, STRIPES, DIAGONAL])
    for periodic, widths, endless, shares in [
        (True, [3, 4, 6], [0, 0, 1, 1], [1, 1, 1, True]),
        (False, [6, 2, 6], [0, 0, 1, 0], [1, 0.75, 1, False]),
    ]:
        values = constraints.values(images, periodic=periodic)
        assert values["feature_size_1"][:3].tolist() == widths
        assert values["percolates_1_x"].tolist() == endless
        assert values["connected_1"][:3] == pytest.approx(shares[:3])
        assert (values["connected_1"][3] == 1) == shares[3]  # two pieces, joined across the seam
    assert constraints.admits(images, periodic=False).tolist() == [False, False, True, False]


def test_likeness_to_a_population(tmp_path: Path) -> None:
    """Bars of one micrograph, larger than the images, are like bars of any position and like no other image."""
    width = np.arange(96) % N
    bars = np.stack([width < 6 + i % 3 for i in range(4)]).astype(np.uint8)
    np.save(tmp_path / "bars.npy", bars[..., None].repeat(96, 2))
    reference = {"images": str(tmp_path / "bars.npy"), "within": 1.5}
    assert admitted(similar_to=reference) == {"bars"}
    constraints = validate_config(Constraints, {"similar_to": reference}, "the constraints")
    values = constraints.values(IMAGES)["distance_to_population"]
    assert (np.delete(values, 1) > 2).all()
    constraints.check_images((N, N))
    for size, images, message in [
        (128, reference["images"], r"bars.npy: .*96 x 96 pixels; expected at least 128 x 128"),
        (N, str(tmp_path / "none.npy"), "does not exist"),
    ]:
        with pytest.raises(InputError, match=message):
            validate_config(Constraints, {"similar_to": {"images": images}}, "the constraints").check_images(
                (size, size)
            )
    with pytest.raises(InputError, match=r"similar_to\.image.*images"):
        validate_config(Constraints, {"similar_to": {"image": "bars.npy"}}, "the constraints")


def test_values_are_what_was_measured() -> None:
    constraints = Constraints(percolates={1: {"y": True}}, feature_size={1: {"at_least": 2}}, connected={1: 0.5})
    values = constraints.values(IMAGES[[0, 2, 4]])
    assert values["volume_fraction"] == pytest.approx([0.25, 1 - 0.75**2, 0.25 + 1 / N**2])
    assert values["percolates_1_y"].tolist() == [0, 1, 0]
    assert values["feature_size_1"].tolist() == [6, 6, 6]
    assert values["connected_1"] == pytest.approx([1, 1, 6 * N / (6 * N + 1)])
    assert constraints.counts(IMAGES[[0, 2, 4]])["percolates_1_y"] == 1
    assert len(constraints.admits(IMAGES[:0])) == 0


def test_an_absent_phase_keeps_no_width() -> None:
    constraints = Constraints(feature_size={1: {"at_least": 2}})
    assert constraints.admits(np.stack([np.zeros_like(CROSS), np.ones_like(CROSS)])).tolist() == [False, True]


def test_contradictions_and_unknown_keys() -> None:
    for values, message in [
        ({"volume_fraction": [0.6, 0.4]}, "low < high"),
        ({"volume_fraction": [0.2, 1.4]}, "low < high <= 1"),
        ({"connected": {1: 1.2}}, r"connected\.1 = 1\.2: expected a share"),
        ({"percolates": {256: {"x": True}}}, r"percolates\.256"),
        ({"percolates": {1: {"w": True}}}, r"percolates\.1\.w.*'x', 'y' or 'z'"),
        ({"volume_fraction": {0: [0.6, 1], 1: [0.6, 1]}}, "add up to more than 1"),
        ({"roundness": 1}, "unknown key 'roundness'; expected one of: connected, feature_size"),
    ]:
        with pytest.raises(InputError, match=message):
            validate_config(Constraints, values, "the constraints")


def test_what_an_image_of_that_size_cannot_keep() -> None:
    for values, message in [
        ({"percolates": {2: {"x": True}}}, "there is no phase 2; expected labels 0 to 1"),
        ({"percolates": {1: {"z": True}}}, "images have no axis z"),
        ({"symmetry": {"cubic": 0.1}}, "symmetry cubic is none of images; expected mirror or diagonal or turn"),
        ({"volume_fraction": {0: [0, 0.4], 1: [0, 0.5]}}, "add up to less than 1"),
        (
            {"percolates": {1: {"x": True, "y": False}, 0: {"y": True}}},
            "phase 1, endless along x and not along y, cuts phase 0 off along y",
        ),
        (
            {"feature_size": {0: {"at_least": 20}, 1: {"at_least": 20}}},
            "phase 0 20 and phase 1 20 pixels wide do not fit into an image of 32",
        ),
        (
            {"percolates": {1: {"x": True}}, "volume_fraction": [0, 0.01]},
            "phase 1 cannot be endless with at most 0.01 of the image",
        ),
        (
            {
                "percolates": {0: {"y": True}},
                "volume_fraction": [0.8, 1],
                "feature_size": {0: {"at_least": 8, "ignore": 0}},
            },
            "phase 0 cannot be endless with at most 0.2 .* 8 pixels wide takes 0.25 of 32 x 32",
        ),
    ]:
        with pytest.raises(InputError, match=message):
            validate_config(Constraints, values, "the constraints").check_images((32, 32))


def test_volumes() -> None:
    """A rod along z, a plate across it, and a cube: fractions, paths, widths and symmetries of volumes."""
    rod, plate, cube = np.zeros((3, 12, 12, 12), np.uint8)
    rod[2:8, 2:8], plate[..., 3:6], cube[:6, :6, :6] = 1, 1, 1
    volumes = np.stack([rod, plate, cube])
    for values, expected in [
        ({"volume_fraction": [0.2, 0.26]}, [True, True, False]),
        ({"volume_fraction": {0: [0.8, 1]}}, [False, False, True]),
        ({"percolates": {1: {"z": True}}}, [True, False, False]),
        ({"percolates": {1: {"x": True, "z": False}}}, [False, True, False]),
        ({"percolates": {0: {"z": True}, 1: {"z": True}}}, [True, False, False]),
        ({"feature_size": {1: {"at_least": 6, "ignore": 0}}}, [True, False, True]),
        ({"symmetry": {"orthotropic": 1e-6}}, [True, True, True]),
        ({"symmetry": {"cubic": 1e-6}}, [False, False, True]),
    ]:
        constraints = validate_config(Constraints, values, "the constraints")
        constraints.check_images((12, 12, 12))
        assert constraints.admits(volumes).tolist() == expected, values
    # In space, unlike in the plane, both phases may be endless along axes that cross.
    both = {"percolates": {1: {"x": True, "y": False}, 0: {"y": True}}}
    validate_config(Constraints, both, "the constraints").check_images((12, 12, 12))


def test_three_phases() -> None:
    layers = np.zeros((1, 8, 8), np.uint8)
    layers[:, 2:6], layers[:, 6:] = 1, 2
    constraints = validate_config(Constraints, {"volume_fraction": {1: [0.4, 0.6], 2: [0.2, 0.3]}}, "the constraints")
    constraints.check_images((8, 8), phases=3)
    found = constraints.values(layers, phases=3)
    assert {name: value.tolist() for name, value in found.items()} == {
        "volume_fraction_1": [0.5],
        "volume_fraction_2": [0.25],
    }
    assert constraints.admits(layers, phases=3).all()


def test_widths_with_a_unit() -> None:
    constraints = validate_config(Constraints, {"feature_size": {1: {"at_least": "3um"}}}, "the constraints")
    for pixel, width in {(0.5, "um"): 6, (500, "nm"): 6, (1e-3, "mm"): 3}.items():
        there = constraints.in_pixels(*pixel)
        assert there.feature_size[1].width == pytest.approx(width), pixel
        assert (
            there.admits(IMAGES).tolist() == Constraints(feature_size={1: {"at_least": width}}).admits(IMAGES).tolist()
        )
        there.check_images((N, N))
    # Widths in pixels are those of any pixel.
    assert Constraints(feature_size={1: {"at_least": 6}}).in_pixels(0.5, "um").feature_size[1].width == 6
    for ask in (lambda: constraints.in_pixels(1.0, ""), lambda: constraints.check_images((N, N)), constraints.checks):
        with pytest.raises(
            InputError, match=r"at_least 3um is a length, and the size of the model's pixels is not known"
        ):
            ask()
    with pytest.raises(InputError, match="do not fit into an image"):
        constraints.in_pixels(10, "nm").check_images((N, N))
    for text in ("0", "-1um", "3 GPa", "thick"):
        with pytest.raises(InputError, match=f"feature_size.1.at_least.*{text}"):
            validate_config(Constraints, {"feature_size": {1: {"at_least": text}}}, "the constraints")
