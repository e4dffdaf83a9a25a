"""Grey images on the command line."""

import json
from pathlib import Path

from PIL import Image

from microdesign.microstructure.io.readers import read
from tests.cases import case
from tests.cli.conftest import Command, materials, refused
from tests.microstructure.io.test_thresholds import grey


def test_the_commands(command: Command) -> None:
    Image.fromarray(grey(size=96)).save("grey.png")
    for arguments in (
        ["homogenize", "grey.png", "--materials", materials()],
        ["statistics", "grey.png"],
        ["data", "windows", "grey.png", "set", "--size", "16"],
        ["data", "convert", "grey.png", "out.npz"],
    ):
        with case(arguments=arguments):
            refused(command(*arguments), "grey.png: holds", "threshold it first (--threshold otsu")
            refused(command(*arguments, "--preview", "a.png"), "--preview a.png: goes with --threshold")
            refused(command(*arguments, "--threshold", "otsu", "--preview", "a.jpg"), "expected a file with the suffix")
            done = command(*arguments, "--threshold", "otsu", "--preview", "a.png", "--json")
            assert done.code == 0, done
            assert json.loads(done.out)
            assert Path("a.png").read_bytes()[:4] == b"\x89PNG"
            Path("a.png").unlink()
    assert read("out.npz").periodic is False
    # The picture shows why a command could not go on.
    refused(command("data", "windows", "grey.png", "no", "--threshold", "otsu", "--preview", "b.png"), "are too few")
    assert Path("b.png").is_file()
