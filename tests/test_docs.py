"""What the documentation shows is there: configs are valid, commands exist, Python names can be imported."""

import ast
import importlib
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

import microdesign as md
from microdesign.cli.main import app
from microdesign.core.config import Config, validate_config
from microdesign.core.errors import InputError
from microdesign.design.from_micrograph.config import MicrographConfig
from microdesign.jobs.job_configs import config_class
from microdesign.physics.materials import Materials

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
NOTEBOOKS = sorted((ROOT / "docs").rglob("*.ipynb"))
FENCE = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MINIMAL: dict[str, dict[str, Any]] = {
    "train": {"dataset": "labelled"},
    "micrograph": {"micrograph": "scan.npy"},
    "design": {"target": {"properties": {"Ex": 3.4}}},
}
"""What a block that shows some keys of a config leaves out."""
FILES: dict[str, type[Config]] = {"materials": Materials, "crystals": Materials, "micrograph": MicrographConfig}
"""Files that are no job's config."""


def blocks(language: str) -> Iterator[tuple[str, str, str]]:
    """Each fenced block: where it is, its title and its text."""
    for path in PAGES:
        for found in FENCE.finditer(path.read_text("utf-8")):
            if found[1] == language:
                yield path.name, found[2] or "", found[3]


def config_of(title: str) -> type[Config]:
    """The config class of a file that a page shows, by the file's name."""
    name = title.removesuffix(".yaml")
    if name in FILES:
        return FILES[name]
    return config_class("evaluate", name) if name == "fidelity" else config_class(name)


def test_configs_are_valid() -> None:
    found = list(blocks("yaml"))
    assert len(found) > 8
    for page, title, text in found:
        assert title, f"{page}: a YAML block needs a title, the name of a job's file:\n{text}"
        values = MINIMAL.get(title.removesuffix(".yaml"), {}) | yaml.safe_load(text)
        try:
            validate_config(config_of(title), values, title)
        except InputError as error:
            pytest.fail(f"{page}: {error}\n{text}")


def commands() -> Iterator[tuple[str, list[str]]]:
    """The words of every `microdesign ...` in a shell block of a page."""
    for page, _, text in blocks("bash"):
        for line in text.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while words and "=" in words[0] and not words[0].startswith("-"):  # variables
                words = words[1:]
            if words and Path(words[0]).name == "microdesign":
                yield page, words[1:]


def test_commands_exist() -> None:
    root: Any = typer.main.get_command(app)
    found = list(commands())
    assert len(found) > 30
    for page, words in found:
        command, rest = root, list(words)
        while hasattr(command, "commands"):
            assert "".join(rest[:1]) in command.commands, f"{page}: no command `microdesign {' '.join(words)}`"
            command = command.commands[rest.pop(0)]
        context = command.context_class(command, info_name="microdesign")
        try:
            given, left, _ = command.make_parser(context).parse_args(rest)
        except Exception as error:  # a usage error of the library that Typer uses
            pytest.fail(f"{page}: `microdesign {' '.join(words)}`: {error}")
        missing = [each.name for each in command.params if each.required and not given.get(each.name)]
        assert (left, missing) == ([], []), f"{page}: `microdesign {' '.join(words)}`"


def python_blocks() -> Iterator[tuple[str, str]]:
    yield from ((page, text) for page, _, text in blocks("python"))
    for path in NOTEBOOKS:
        cells = json.loads(path.read_text("utf-8"))["cells"]
        assert not any(cell.get("outputs") for cell in cells), f"{path.name}: outputs are made when the site is built"
        yield path.name, "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def test_python_names_exist() -> None:
    for page, text in python_blocks():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "md":
                assert node.attr in md.__all__, f"{page}: md.{node.attr}"
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("microdesign"):
                module = importlib.import_module(node.module or "")
                for alias in node.names:
                    assert hasattr(module, alias.name), f"{page}: {node.module}.{alias.name}"


def test_named_files_and_modules_exist() -> None:
    for path in PAGES:
        text = path.read_text("utf-8")
        for name in re.findall(r"(?:jobs/configs|examples|serving|benchmarks|docs|tests)/[\w./-]+\.\w+", text):
            assert (ROOT / name).exists() or (path.parent / name).exists(), f"{path.name}: {name}"
        for name in re.findall(r"`(microdesign(?:\.[a-z_0-9]+)+)`", text):
            package = name.replace("microdesign.jobs", "jobs").replace("microdesign.serving", "serving")
            places = [ROOT / package.replace(".", "/"), ROOT / "platform" / name.replace(".", "/")]
            there = any(place.is_dir() or place.with_suffix(".py").exists() for place in places)
            parent, _, attribute = name.rpartition(".")
            assert there or hasattr(importlib.import_module(parent), attribute), f"{path.name}: {name}"
