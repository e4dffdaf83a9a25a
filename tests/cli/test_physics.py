"""`microdesign homogenize` and `statistics`: one answer on standard output, one sentence on standard error."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.conftest import Command, golden_image, materials, refused

KEYS = [
    "image",
    "boundary",
    "volume_fractions",
    "properties",
    "stiffness",
    "conductivity",
    "iterations",
    "error_estimate",
    "units",
]
EXPECTED = {"Ex": 2.489928958, "Ey": 2.165892675, "vxy": 0.204209374, "vyx": 0.177633818, "Gxy": 0.691968090}


def check_golden(text: str) -> None:
    (entry,) = json.loads(text)
    assert list(entry) == KEYS
    for name, value in EXPECTED.items():
        assert entry["properties"][name] == pytest.approx(value, rel=2e-8), name
    assert set(entry["properties"]) == {*EXPECTED, "kx", "ky"}
    assert np.shape(entry["stiffness"]) == (3, 3)
    assert np.shape(entry["conductivity"]) == (2, 2)
    assert entry["image"] == "golden.npy"
    assert entry["units"] == {"E": "MPa", "k": "as k in the materials"}
    assert isinstance(entry["iterations"], int)
    assert 0 < entry["error_estimate"] < 1e-9


@pytest.fixture
def files(command: Command) -> Command:
    """The command, with `image.npy` 8 x 8, `volume.npy` 4 x 6 x 5 and `materials.yaml` of contrast 10 beside it."""
    rng = np.random.default_rng(0)
    np.save("image.npy", rng.integers(0, 2, (8, 8)).astype(np.uint8))
    np.save("volume.npy", rng.integers(0, 2, (4, 6, 5)).astype(np.uint8))
    materials(phases=[{"E": 1, "nu": 0.3, "k": 1}, {"E": 10, "nu": 0.3, "k": 10}])
    return command


def document(command: Command, *arguments: str) -> list[dict[str, Any]]:
    done = command("homogenize", *arguments, "--materials", "materials.yaml", "--json")
    assert done.code == 0, done
    return json.loads(done.out)


def test_the_answer_is_one_json_document(command: Command, installed: Command) -> None:
    line = ["homogenize", golden_image(), "--materials", materials(units={"E": "MPa"}), "--tolerance", "1e-10"]
    done = command(*line, "--json")
    assert (done.code, done.err) == (0, "")
    check_golden(done.out)
    alone = installed(*line, "--json")
    assert (alone.code, alone.out, alone.err) == (0, done.out, "")


def test_the_table_has_a_row_an_image(command: Command) -> None:
    np.save("stack.npy", np.stack([np.eye(8, dtype=np.uint8), np.zeros((8, 8), np.uint8)]))
    done = command("homogenize", golden_image(), "stack.npy", "--materials", materials())
    assert done.code == 0
    for part in ("golden.npy", "stack.npy[0]", "stack.npy[1]", "Ex", "2.4", "axis 0 of an image is x"):
        assert part in done.out
    assert "[1] has one phase alone, 0" in done.out


def test_plane_and_discretization_are_options_or_stand_in_the_file(command: Command) -> None:
    answers = {}
    for options in ((), ("--plane", "strain"), ("--plane", "stress"), ("--discretization", "rotated")):
        done = command("homogenize", golden_image(), "--materials", materials(), "--json", *options)
        answers[options] = json.loads(done.out)[0]["properties"]["Ex"]
    assert answers["--plane", "strain"] > answers[()] == answers["--plane", "stress"]
    assert answers["--discretization", "rotated"] != answers[()]
    for plane in ("strain", "stress"):
        done = command("homogenize", golden_image(), "--materials", materials(plane=plane), "--json")
        assert json.loads(done.out)[0]["properties"]["Ex"] == answers["--plane", plane]


def test_three_axes_are_a_stack_or_a_volume(files: Command) -> None:
    stack = document(files, "volume.npy")
    assert [entry["image"] for entry in stack] == [f"volume.npy[{i}]" for i in range(4)]
    (volume,) = document(files, "volume.npy", "--dims", "3")
    assert list(volume) == KEYS
    assert np.shape(volume["stiffness"]) == (6, 6)
    (long,) = document(files, "volume.npy", "--dims", "3", "--spacing", "1,1,3")
    assert long["properties"]["k33"] != pytest.approx(volume["properties"]["k33"], rel=1e-3)


def test_uncertainty_adds_one_key_and_rows(files: Command) -> None:
    (plain,) = document(files, "image.npy")
    (doubted,) = document(files, "image.npy", "--uncertainty")
    assert list(plain) == KEYS
    assert doubted.pop("uncertainty")["bounds"]["kx"][1] == pytest.approx(plain["properties"]["kx"])
    assert doubted == plain
    for arguments in (["image.npy"], ["volume.npy", "--dims", "3"]):
        shown = files("homogenize", *arguments, "--uncertainty", "--materials", "materials.yaml").out
        assert "q1 - rotated" in shown
        assert ("bounds" in shown) == (arguments == ["image.npy"])


def test_bad_options(files: Command) -> None:
    cases = [
        (["image.npy", "--dims", "3"], ("image.npy: ", "(8, 8)")),
        (["image.npy", "--dims", "4"], ("dims = 4 is out of range; expected 2 or 3",)),
        (["volume.npy", "--dims", "3", "--spacing", "1,2"], ("volume.npy: ", "is not valid; expected 3 lengths")),
        (["image.npy", "--spacing", "a,b"], ("--spacing a,b: expected numbers with commas",)),
        (["image.npy", "--uncertainty", "--discretization", "fv"], ("does not go with the uncertainty",)),
        (["no.npy", "--json"], ("no.npy: does not exist",)),
    ]
    for arguments, parts in cases:
        refused(files("homogenize", *arguments, "--materials", "materials.yaml"), *parts)


def test_a_pickle_is_never_loaded(command: Command) -> None:
    class Code:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (Path("executed"),))

    np.save("objects.npy", np.array([[Code()]], dtype=object), allow_pickle=True)
    Path("raw.npy").write_bytes(pickle.dumps(Code()))
    for name, reason in (("objects.npy", "holds pickled Python objects"), ("raw.npy", "is a pickle, which is never")):
        refused(command("homogenize", name, "--materials", materials()), f"{name}: {reason}")
    assert not Path("executed").exists()


def test_bad_images(command: Command) -> None:
    cases: list[tuple[np.ndarray, tuple[str, ...]]] = [
        (np.full((8, 8), 2), ("image.npy", "label 2")),
        (np.full((8, 8), -1), ("image.npy: holds -1", "expected phase labels 0 to 255")),
        (np.full((8, 8), 0.5), ("image.npy: holds 0.5", "expected integer phase labels")),
        (np.full((8, 8), np.nan), ("image.npy: holds nan", "not missing values")),
        (np.zeros(8, int), ("image.npy: has shape (8,)",)),
        (np.zeros((16, 16, 16), int), ("image.npy: has shape (16, 16, 16)", "--dims 2 or --dims 3")),
        (np.zeros((0, 8, 8), int), ("image.npy: has shape (0, 8, 8), without pixels",)),
    ]
    for array, parts in cases:
        np.save("image.npy", array)
        refused(command("homogenize", "image.npy", "--materials", materials(), "--json"), *parts)


def test_bad_materials(command: Command) -> None:
    cases: list[tuple[dict[str, Any], tuple[str, ...]]] = [
        ({"phases": [{"E": -1, "nu": 0.3, "k": 1}]}, ("'phases.0.E' = -1 is not valid", "greater than 0")),
        ({"phases": [{"E": 1, "nu": 0.5, "k": 1}]}, ("'phases.0.nu' = 0.5 is not valid", "less than 0.5")),
        ({"phases": [{"E": 1, "nu": 0.3, "k": 0}]}, ("'phases.0.k' = 0 is not valid",)),
        ({"phases": [{"E": 0, "nu": 0.3}]}, ("'phases.0.E' = 0 is not valid: E is 0 in every phase",)),
        ({"phases": [{"k": 1}, {"k": -2}]}, ("'phases.1.k' = -2 is not valid", "greater than 0")),
        ({"phases": [{"k": 1}, {"E": 1, "nu": 0.3}]}, ("phase 0 has no stiffness (E and nu)",)),
        ({"phases": []}, ("'phases'",)),
        ({"phases": [{"E": float("inf"), "nu": 0.3, "k": 1}]}, ("'phases.0.E' = inf is not valid",)),
        ({"colour": "red"}, ("unknown key 'colour'", "expected one of: phases, plane, units")),
        ({"plane": "bent"}, ("'plane' = 'bent' is not valid",)),
    ]
    image = golden_image()
    for changes, parts in cases:
        refused(command("homogenize", image, "--materials", materials(**changes)), "materials.yaml: ", *parts)
    for text in ("phases: [", "- 1", "phases: \x00"):
        Path("bad.yaml").write_text(text)
        refused(command("homogenize", image, "--materials", "bad.yaml"), "bad.yaml: ")


def test_statistics_of_every_phase(command: Command) -> None:
    stripes = np.zeros((12, 12), np.uint8)
    stripes[::4] = 1
    np.save("stripes.npy", np.stack([stripes, stripes.T]))
    entries = json.loads(command("statistics", "stripes.npy", golden_image(), "--json").out)
    assert [entry["image"] for entry in entries] == ["stripes.npy[0]", "stripes.npy[1]", "golden.npy"]
    assert entries[0]["mean_chord"] == [[3, None], [1, None]]
    assert entries[1]["percolates"] == [[True, False]] * 2
    assert entries[0]["anisotropy"] == pytest.approx([1, 1])
    assert entries[2]["minimum_feature_size"] == [4, 4]
    assert entries[2]["volume_fractions"] == pytest.approx([1 - 90 / 256, 90 / 256])
    table = command("statistics", "stripes.npy", "--two-point", "f.npy").out
    assert "stripes.npy[1]" in table
    assert "chord y" in table
    f = np.load("f.npy")
    assert f.shape == (2, 2, 12, 12)
    assert f[:, 1, 0, 0] == pytest.approx([0.25, 0.25])
    refused(command("statistics", "stripes.npy", "golden.npy", "--two-point", "f.npy"), "(2, 16, 16)]; expected one")
    refused(command("statistics", "no.npy"), "no.npy")


def test_boundaries_and_what_is_not_defined(files: Command) -> None:
    (periodic,), (mirror,) = document(files, "image.npy"), document(files, "image.npy", "--boundary", "mirror")
    assert (periodic["boundary"], mirror["boundary"]) == ("periodic", "mirror")
    assert periodic["properties"]["kx"] != mirror["properties"]["kx"]
    shown = files("homogenize", "image.npy", "--materials", "materials.yaml", "--boundary", "mirror")
    assert "mirror boundary: the image is reflected at its faces" in shown.out
    wrong = files("homogenize", "image.npy", "--materials", "materials.yaml", "--boundary", "wall")
    refused(wrong, "boundary = 'wall' is unknown; expected one of auto, periodic, mirror")
    np.save("gap.npy", np.repeat([[0], [1]], 4, axis=0).repeat(8, axis=1))
    porous = materials(phases=[{"E": 1, "nu": 0.3, "k": 1}, {"E": 0, "nu": 0.0, "k": 0}])
    table = files("homogenize", "gap.npy", "--materials", porous)
    assert "vxy is not defined for 1 of 1 images: the solid does not hang together along one of its axes" in table.out
    (entry,) = document(files, "gap.npy")
    assert (entry["properties"]["vxy"], entry["properties"]["Ex"]) == (None, 0)
