"""The command line: one answer on standard output, one sentence on standard error, and the exit code."""

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from microdesign import __version__
from microdesign.cli import main as cli

BIN = Path(sys.executable).parent
PHASES = [{"E": 1, "nu": 0.3, "k": 1}, {"E": 100, "nu": 0.3, "k": 100}]


@dataclass
class Done:
    code: int
    out: str
    err: str


Command = Callable[..., Done]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `microdesign ...` in this process, in an empty folder, without Ray."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("microdesign.physics.execution.cluster.connected", nullcontext)

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["microdesign", *map(str, arguments)])
        code: Any = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    return run


def materials(**changes: Any) -> Path:
    Path("materials.yaml").write_text(yaml.safe_dump({"phases": PHASES} | changes))
    return Path("materials.yaml")


def golden_image() -> Path:
    image = np.zeros((16, 16), np.uint8)
    image[2:9, 3:13] = 1
    image[9:14, 3:7] = 1
    np.save("golden.npy", image)
    return Path("golden.npy")


def refused(done: Done, *parts: str) -> None:
    """Exit code 2, nothing on standard output, one line that names the trouble."""
    assert done.code == 2
    assert done.out == ""
    assert done.err.startswith("microdesign: ")
    assert done.err.count("\n") == 1
    for part in parts:
        assert part in done.err


def check_golden(text: str) -> None:
    (entry,) = json.loads(text)
    assert list(entry) == [
        "image",
        "volume_fractions",
        "properties",
        "stiffness",
        "conductivity",
        "iterations",
        "error_estimate",
        "units",
    ]
    expected = {"Ex": 2.489928958, "Ey": 2.165892675, "vxy": 0.204209374, "vyx": 0.177633818, "Gxy": 0.691968090}
    for name, value in expected.items():
        assert entry["properties"][name] == pytest.approx(value, rel=2e-8), name
    assert set(entry["properties"]) == {*expected, "kx", "ky"}
    assert np.shape(entry["stiffness"]) == (3, 3)
    assert np.shape(entry["conductivity"]) == (2, 2)
    assert entry["image"] == "golden.npy"
    assert entry["units"] == {"E": "MPa", "k": "as k in the materials"}
    assert isinstance(entry["iterations"], int)
    assert 0 < entry["error_estimate"] < 1e-9


def test_homogenize_json(command: Command) -> None:
    arguments = ["--materials", materials(units={"E": "MPa"}), "--tolerance", "1e-10", "--json"]
    done = command("homogenize", golden_image(), *arguments)
    assert (done.code, done.err) == (0, "")
    check_golden(done.out)


def test_homogenize_as_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    line = [BIN / "microdesign", "homogenize", golden_image(), "--tolerance", "1e-10", "--json"]
    line += ["--materials", materials(units={"E": "MPa"})]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    check_golden(done.stdout)
    line[-1] = Path("nowhere.yaml")
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr == "microdesign: nowhere.yaml: cannot be read (No such file or directory); expected a YAML file.\n"
    )


def test_homogenize_table(command: Command) -> None:
    np.save("stack.npy", np.stack([np.eye(8, dtype=np.uint8), np.zeros((8, 8), np.uint8)]))
    done = command("homogenize", golden_image(), "stack.npy", "--materials", materials())
    assert done.code == 0
    for part in (
        "golden.npy",
        "stack.npy[0]",
        "stack.npy[1]",
        "Ex",
        "2.4",
        "axis 0 of an image is x",
        "[1] has one phase alone, 0",
    ):
        assert part in done.out


def test_plane_and_discretization_are_options(command: Command) -> None:
    answers = {}
    for options in ((), ("--plane", "strain"), ("--discretization", "rotated")):
        done = command("homogenize", golden_image(), "--materials", materials(), "--json", *options)
        answers[options] = json.loads(done.out)[0]["properties"]["Ex"]
    assert len(set(answers.values())) == 3
    assert answers["--plane", "strain"] > answers[()]


@pytest.mark.parametrize("kind", ["strain", "stress"])
def test_plane_of_the_file_holds(command: Command, kind: str) -> None:
    given = command("homogenize", golden_image(), "--materials", materials(plane=kind), "--json")
    option = command("homogenize", golden_image(), "--materials", materials(), "--plane", kind, "--json")
    assert json.loads(given.out) == json.loads(option.out)


def test_a_missing_image(command: Command) -> None:
    refused(command("homogenize", "no.npy", "--materials", materials(), "--json"), "no.npy: does not exist")


def test_a_pickle_is_never_loaded(command: Command) -> None:
    class Code:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (Path("executed"),))

    np.save("objects.npy", np.array([[Code()]], dtype=object), allow_pickle=True)
    refused(
        command("homogenize", "objects.npy", "--materials", materials()), "objects.npy: holds pickled Python objects"
    )
    Path("raw.npy").write_bytes(__import__("pickle").dumps(Code()))
    refused(command("homogenize", "raw.npy", "--materials", materials()), "raw.npy: is a pickle, which is never loaded")
    assert not Path("executed").exists()


@pytest.mark.parametrize(
    ("array", "parts"),
    [
        (np.full((8, 8), 2), ("image.npy", "label 2")),
        (np.full((8, 8), -1), ("image.npy: holds -1", "expected phase labels 0 to 255")),
        (np.full((8, 8), 0.5), ("image.npy: holds 0.5", "expected integer phase labels")),
        (np.full((8, 8), np.nan), ("image.npy: holds nan", "not missing values")),
        (np.zeros(8, int), ("image.npy: has shape (8,)",)),
        (np.zeros((2, 2, 8, 8), int), ("image.npy[0]: has shape (2, 8, 8)", "expected one image (X, Y)")),
        (np.zeros((0, 8, 8), int), ("image.npy: has shape (0, 8, 8), without pixels",)),
    ],
)
def test_bad_images(command: Command, array: np.ndarray, parts: tuple[str, ...]) -> None:
    np.save("image.npy", array)
    refused(command("homogenize", "image.npy", "--materials", materials(), "--json"), *parts)


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
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
    ],
)
def test_bad_materials(command: Command, changes: dict[str, Any], parts: tuple[str, ...]) -> None:
    done = command("homogenize", golden_image(), "--materials", materials(**changes), "--json")
    refused(done, "materials.yaml: ", *parts)


@pytest.mark.parametrize("text", ["phases: [", "- 1", "phases: \x00"])
def test_materials_that_are_no_yaml_mapping(command: Command, text: str) -> None:
    Path("bad.yaml").write_text(text)
    refused(command("homogenize", golden_image(), "--materials", "bad.yaml"), "bad.yaml: ")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--set", "familiez=[GRF]"], ("unknown key 'familiez'; did you mean 'families'?",)),
        (["--set", "families=[Grf]"], ("'Grf' is unknown; expected different names out of: AngEllipse",)),
        (["--set", "size"], ("--set size: has no '='",)),
        (["--set", "split.train=0.5"], ("train + validation + test = 0.7; expected 1",)),
        (["--set", "seed.low=1", "--set", "seed=x"], ("'seed'",)),
        (["--config", "nowhere.yaml"], ("nowhere.yaml: cannot be read",)),
    ],
)
def test_bad_settings(command: Command, arguments: list[str], parts: tuple[str, ...]) -> None:
    refused(command("data", "generate", "out", *arguments), *parts)
    assert not Path("out").exists()


@pytest.mark.parametrize("name", ["train", "sweep", "design"])
def test_unknown_keys_of_every_config(command: Command, name: str) -> None:
    Path("job.yaml").write_text("colour: red\n")
    refused(command(name, "job.yaml"), "job.yaml: unknown key 'colour'; ")
    refused(command(name, "nowhere.yaml"), "nowhere.yaml: cannot be read")


def test_nested_unknown_key(command: Command) -> None:
    Path("train.yaml").write_text("dataset: x\n")
    refused(command("train", "train.yaml", "--set", "loop.epoch=3"), "unknown key 'loop.epoch'", "epochs")
    refused(command("train", "train.yaml"), "x: holds no dataset.json")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--target", "Ex=11"], ("target Ex = 11 is out of reach", "from 1 to 10", "Voigt-Reuss")),
        (["--target", "Ex=9", "--target", "kx=1.5"], ("exclude each other",)),
        (["--target", "Ez=3"], ("'Ez' is no property; expected some of Ex, vxy, Ey",)),
        (["--target", "Ex=stiff"], ("--target Ex=stiff: expected NAME=VALUE with a number",)),
        (["--target", "Ex"], ("--target Ex: expected NAME=VALUE",)),
        (["--target", "Ex=nan"], ("Ex",)),
        (["--match", "no.npy"], ("no.npy: cannot be read",)),
        (["--match", "golden.npy", "--target", "Ex=3"], ("give one",)),
        (["--match", "golden.npy", "--properties", "Ex,Ez"], ("'Ez'",)),
        (["--set", "generate.colour=red"], ("unknown key 'generate.colour'",)),
        (["--set", "campaign.colour=red"], ("unknown key 'campaign.colour'",)),
    ],
)
def test_the_demo_refuses_before_anything_is_computed(
    command: Command, arguments: list[str], parts: tuple[str, ...]
) -> None:
    golden_image()
    refused(command("demo", "--folder", "demo", *arguments), *parts)
    assert not Path("demo").exists()


def test_the_demo_deletes_no_folder_of_others(command: Command) -> None:
    Path("mine").mkdir()
    Path("mine/thesis.txt").write_text("years")
    refused(command("demo", "--folder", "mine", "--fresh"), "mine: holds other files and is no folder of a demo")
    assert Path("mine/thesis.txt").read_text() == "years"


def test_generate_inspect_and_statistics(command: Command) -> None:
    small = ["--set", "count_per_family=3", "--set", "size=16", "--set", "families=[GRF]"]
    done = command("data", "generate", "set", *small, "--json")
    assert done.code == 0
    assert "3/3 images" in done.err
    made = json.loads(done.out)
    assert made["images"] == 3
    assert command("data", "generate", "set", *small).out.splitlines()[-1] == f"digest: {made['digest']}"
    assert json.loads(command("data", "inspect", "set", "--json").out)
    assert "GRF" in command("data", "inspect", "set").out
    (entry,) = json.loads(command("statistics", golden_image(), "--json").out)
    assert entry["volume_fractions"] == pytest.approx([1 - 90 / 256, 90 / 256])
    assert "golden.npy" in command("statistics", "golden.npy").out
    assert json.loads(command("data", "generate", "set.h5", *small, "--json").out) == {"file": "set.h5", "images": 3}


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
    table = command("statistics", "stripes.npy", "--two-point", "f.npy").out
    assert "stripes.npy[1]" in table
    assert "chord y" in table
    f = np.load("f.npy")
    assert f.shape == (2, 2, 12, 12)
    assert f[:, 1, 0, 0] == pytest.approx([0.25, 0.25])
    refused(command("statistics", "stripes.npy", "golden.npy", "--two-point", "f.npy"), "(2, 16, 16)]; expected one")
    refused(command("statistics", "no.npy"), "no.npy")


def test_contact_sheets_and_volumes(command: Command) -> None:
    small = ["--set", "count_per_family=2", "--set", "size=16", "--set", "families=[GRF, Spinodal]"]
    assert command("data", "generate", "plain", *small, "--json").code == 0
    assert not Path("plain-preview").exists()
    made = json.loads(command("data", "generate", "set", *small, "--set", "dims=3", "--preview", "--json").out)
    assert made["preview"] == ["set-preview/GRF.png", "set-preview/Spinodal.png"]
    assert all(Path(file).is_file() for file in made["preview"])
    refused(command("data", "generate", "no", *small, "--set", "n_phases=3"), "'n_phases' = 3", "GRF draws 2 phases")


def test_labelling_the_source_onto_itself(command: Command) -> None:
    small = ["--set", "count_per_family=3", "--set", "size=16", "--set", "families=[GRF]"]
    command("data", "generate", "set", *small)
    refused(command("data", "label", "set", "./set/", "--materials", materials()), "is the source itself")
    refused(command("data", "label", "no", "out", "--materials", materials()), "no: holds no dataset.json")


def test_report_of_nothing(command: Command) -> None:
    refused(command("report", "nowhere"), "nowhere: holds no campaign")


def test_version_help_and_unknown_options(command: Command) -> None:
    assert command("--version").out == f"microdesign {__version__}\n"
    for arguments in (["--help"], ["homogenize", "--help"], ["data", "--help"], ["demo", "--help"]):
        done = command(*arguments)
        assert done.code == 0
        assert "Usage" in done.out
    done = command("homogenize", "--colour")
    assert done.code == 2
    assert done.out == ""
    assert "No such option" in done.err
