"""`microdesign data`: what is made, counted and refused."""

import json
from pathlib import Path

import numpy as np

from tests.cli.conftest import Command, golden_image, materials, refused

SMALL = ["--set", "count_per_family=3", "--set", "size=16", "--set", "families=[GRF]"]


def test_generate_and_inspect(command: Command) -> None:
    done = command("data", "generate", "set", *SMALL, "--json")
    assert done.code == 0
    assert "3/3 images" in done.err
    made = json.loads(done.out)
    assert made["images"] == 3
    again = command("data", "generate", "set", *SMALL, "--quiet")
    assert (again.out.splitlines()[-1], again.err) == (f"digest: {made['digest']}", "")
    assert json.loads(command("data", "inspect", "set", "--json").out)
    assert "GRF" in command("data", "inspect", "set").out
    assert json.loads(command("data", "generate", "set.h5", *SMALL, "--json").out) == {"file": "set.h5", "images": 3}


def test_generate_takes_the_config_of_the_job(command: Command) -> None:
    Path("job.yaml").write_text("out: elsewhere\nfamilies: [GRF]\ncount_per_family: 2\nsize: 16\n")
    done = command("data", "generate", "set", "--config", "job.yaml", "--set", "count_per_family=1", "--json")
    assert json.loads(done.out)["images"] == 1
    assert not Path("elsewhere").exists()


def test_contact_sheets_and_volumes(command: Command) -> None:
    small = ["--set", "count_per_family=2", "--set", "size=16", "--set", "families=[GRF, Spinodal]"]
    assert command("data", "generate", "plain", *small, "--json").code == 0
    assert not Path("plain-preview").exists()
    made = json.loads(command("data", "generate", "set", *small, "--set", "dims=3", "--preview", "--json").out)
    assert made["preview"] == ["set-preview/GRF.png", "set-preview/Spinodal.png"]
    assert all(Path(file).is_file() for file in made["preview"])
    refused(command("data", "generate", "no", *small, "--set", "n_phases=3"), "'n_phases' = 3", "GRF draws 2 phases")


def test_bad_settings(command: Command) -> None:
    cases = [
        (["--set", "familiez=[GRF]"], ("unknown key 'familiez'; did you mean 'families'?",)),
        (["--set", "families=[Grf]"], ("'Grf' is unknown; expected ", "AngEllipse")),
        (["--set", "size"], ("--set size: has no '='",)),
        (["--set", "split.train=0.5"], ("train + validation + test = 0.7; expected 1",)),
        (["--set", "seed.low=1", "--set", "seed=x"], ("'seed'",)),
        (["--config", "nowhere.yaml"], ("nowhere.yaml: cannot be read",)),
    ]
    for arguments, parts in cases:
        refused(command("data", "generate", "out", *arguments), *parts)
        assert not Path("out").exists(), arguments


def test_label_is_refused_before_ray_starts(command: Command) -> None:
    command("data", "generate", "set", *SMALL)
    refused(command("data", "label", "set", "./set/", "--materials", materials()), "is the source itself")
    refused(command("data", "label", "no", "out", "--materials", materials()), "no: holds no dataset.json")
    golden_image()
    for parts in [("golden.npy: is a file; expected the folder",), ("`microdesign data windows` of micrographs",)]:
        refused(command("data", "label", "golden.npy", "out", "--materials", materials()), *parts)


def test_windows(command: Command) -> None:
    np.save("scan.npy", np.random.default_rng(0).integers(0, 2, (64, 48), dtype=np.uint8))
    done = command("data", "windows", "scan.npy", "set", "--size", "16")
    assert done.code == 0, done
    assert "split: by region" in done.out
    assert "not periodic" not in done.err
    described = json.loads(command("data", "inspect", "set", "--json").out)
    assert (described["periodic"], described["shape"]) == (False, [16, 16])
    done = command("data", "windows", "scan.npy", "wide", "--size", "16,12", "--stride", "8,6")
    assert "size: 16 x 12" in done.out
    assert json.loads(command("data", "inspect", "wide", "--json").out)["shape"] == [16, 12]
    for arguments, part in [
        (["--size", "16,12,8"], "scan.npy: has 2 axes; expected one number for size, or 2, not 16,12,8"),
        (["--size", "16,60"], "fewer than size = 16,60; expected a size of at most 16,48"),
        (["--size", "16,x"], "--size 16,x: expected numbers"),
        (["--size", "16,3"], "size = 3 is too small; expected at least 4"),
        (["--stride", "4,0", "--size", "16"], "stride = 4,0 is too small"),
        (["--size", "60,40"], "windows of size 60,40; give a size of at most "),
        (["--shares", "1,2"], "--shares 1,2: expected three numbers"),
        (["--shares", "1,2,x"], "--shares 1,2,x: expected numbers"),
        (["--shares", "0.5,0.5,0.5"], "train + validation + test = 1.5; expected 1"),
        (["--size", "100"], "scan.npy: has 64 x 48 pixels, fewer than size = 100"),
        (["--array", "x"], "--array has no meaning for .npy"),
    ]:
        refused(command("data", "windows", "scan.npy", "other", *arguments), part)
        assert not Path("other").exists(), arguments


def test_convert(command: Command) -> None:
    done = command("data", "convert", golden_image(), "golden.vti", "--quiet", "--json")
    assert done.code == 0, done
    assert Path("golden.vti").is_file()
    refused(command("data", "convert", "golden.npy", "x.vti", "--values", "a,b"), "--values a,b: expected numbers")
