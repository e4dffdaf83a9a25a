"""Commands that take the config of a job: what is refused before anything is computed."""

from pathlib import Path

from tests.cli.conftest import Command, golden_image, refused


def test_unknown_keys_and_missing_files(command: Command) -> None:
    Path("job.yaml").write_text("colour: red\n")
    for name in ("train", "sweep", "design", "evaluate"):
        refused(command(name, "job.yaml"), "job.yaml: unknown key 'colour'; ")
        refused(command(name, "nowhere.yaml"), "nowhere.yaml: cannot be read")


def test_a_nested_key_and_a_missing_data_set(command: Command) -> None:
    Path("train.yaml").write_text("dataset: x\n")
    refused(command("train", "train.yaml", "--set", "loop.epoch=3"), "unknown key 'loop.epoch'", "epochs")
    refused(command("train", "train.yaml"), "x: holds no dataset.json")


def test_the_demo_refuses_before_anything_is_computed(command: Command) -> None:
    golden_image()
    cases = [
        (["--target", "Ex=11"], ("target Ex = 11 is out of reach", "from 1 to 10", "Voigt-Reuss")),
        (["--target", "Ex=9", "--target", "kx=1.5"], ("exclude each other",)),
        (["--target", "Ez=3"], ("'Ez'", "expected some of Ex, vxy, Ey")),
        (["--target", "Ex=stiff"], ("'properties.Ex.equals' = 'stiff' is not valid", "a valid number")),
        (["--target", "Ex"], ("--target Ex: expected NAME=VALUE",)),
        (["--target", "Ex=nan"], ("Ex",)),
        (["--match", "no.npy"], ("no.npy: does not exist",)),
        (["--match", "golden.npy", "--target", "Ex=3"], ("give one",)),
        (["--match", "golden.npy", "--properties", "Ex,Ez"], ("'Ez'",)),
        (["--set", "generate.colour=red"], ("unknown key 'generate.colour'",)),
        (["--set", "campaign.colour=red"], ("unknown key 'campaign.colour'",)),
    ]
    for arguments, parts in cases:
        refused(command("demo", "--folder", "demo", *arguments), *parts)
        assert not Path("demo").exists(), arguments


def test_the_demo_deletes_no_folder_of_others(command: Command) -> None:
    Path("mine").mkdir()
    Path("mine/thesis.txt").write_text("years")
    refused(command("demo", "--folder", "mine", "--fresh"), "mine: holds other files and is no folder of a demo")
    assert Path("mine/thesis.txt").read_text() == "years"


def test_report_and_submit(command: Command) -> None:
    refused(command("report", "nowhere"), "nowhere: holds no campaign")
    refused(command("submit", "http://127.0.0.1:1", "trian", "job.yaml"), "'trian' is not one of 'generate'")
    refused(command("submit", "http://127.0.0.1:1", "train", "job.yaml"), "job.yaml: cannot be read")
