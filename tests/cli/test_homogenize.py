"""`microdesign homogenize` on volumes, with spacing and with the uncertainty; the plain contract stays as it is."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from microdesign.cli.main import main

KEYS = ["image", "volume_fractions", "properties", "stiffness", "conductivity", "iterations", "error_estimate", "units"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    np.save("image.npy", rng.integers(0, 2, (8, 8)).astype(np.uint8))
    np.save("volume.npy", rng.integers(0, 2, (4, 6, 5)).astype(np.uint8))
    Path("m.yaml").write_text("phases: [{E: 1, nu: 0.3, k: 1}, {E: 10, nu: 0.3, k: 10}]", encoding="utf-8")
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["microdesign", "homogenize", *arguments, "--materials", "m.yaml"])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def document(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, *arguments: str) -> list[dict]:
    assert run(monkeypatch, *arguments, "--json") == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.usefixtures("folder")
def test_uncertainty_adds_one_key(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    (plain,) = document(monkeypatch, capsys, "image.npy")
    (doubted,) = document(monkeypatch, capsys, "image.npy", "--uncertainty")
    assert list(plain) == KEYS
    assert doubted.pop("uncertainty")["bounds"]["kx"][1] == pytest.approx(plain["properties"]["kx"])
    assert doubted == plain


@pytest.mark.usefixtures("folder")
def test_three_axes_are_a_stack_or_a_volume(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    stack = document(monkeypatch, capsys, "volume.npy")
    assert [entry["image"] for entry in stack] == [f"volume.npy[{i}]" for i in range(4)]
    (volume,) = document(monkeypatch, capsys, "volume.npy", "--dims", "3")
    assert list(volume) == KEYS
    assert np.shape(volume["stiffness"]) == (6, 6)
    (long,) = document(monkeypatch, capsys, "volume.npy", "--dims", "3", "--spacing", "1,1,3")
    assert long["properties"]["k33"] != pytest.approx(volume["properties"]["k33"], rel=1e-3)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("arguments", [["image.npy", "--uncertainty"], ["volume.npy", "--dims", "3", "--uncertainty"]])
def test_table(arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    assert run(monkeypatch, *arguments) == 0
    shown = capsys.readouterr().out
    assert "q1 - rotated" in shown
    assert ("bounds" in shown) == (arguments[0] == "image.npy")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["image.npy", "--dims", "3"], r"image\.npy: .*\(8, 8\)"),
        (["image.npy", "--dims", "4"], "dims = 4 is out of range; expected 2 or 3"),
        (
            ["volume.npy", "--dims", "3", "--spacing", "1,2"],
            "volume.npy: spacing = .* is not valid; expected 3 lengths",
        ),
        (["image.npy", "--spacing", "a,b"], "--spacing a,b: expected numbers with commas"),
        (["image.npy", "--uncertainty", "--discretization", "fv"], "does not go with the uncertainty"),
    ],
)
def test_bad_input(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    assert run(monkeypatch, *arguments) == 2
    error = capsys.readouterr().err
    assert re.search(message, error)
    assert error.count("\n") == 1
