"""The house rules that a reader of the source tree can check: who imports whom, sizes, docstrings, packaging."""

import ast
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "platform" / "microdesign"
MODULES = sorted(PACKAGE.rglob("*.py"))
TEST_MODULES = sorted((ROOT / "tests").rglob("*.py"))

FOUNDATION = {"errors", "config", "files", "progress", "resources"}
"""All may import these; they import each other alone."""
MAY_IMPORT = {
    "microstructure": set(),
    "physics": {"microstructure"},
    "model": {"microstructure"},
    "learning": {"model", "microstructure", "tracking"},
    "design": {"model", "physics", "microstructure", "tracking"},
    "experiments": {"design", "learning", "model", "physics", "microstructure", "tracking"},
    "tracking": set(),
    **{name: set() for name in FOUNDATION},
}
"""Parts of the package and the parts that they may import; other modules at the top put the parts together."""
RAY_EDGE = {
    "physics/parallel.py",
    "physics/pool.py",
    "learning/train.py",
    "learning/sweep.py",
    "learning/checkpoints.py",
    "learning/failures.py",
    "resources.py",
}
LONGEST = 500


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[str]:
    """Absolute dotted names of everything that a module imports, at the top, inside functions and for types."""
    package = ("microdesign", *path.relative_to(PACKAGE).parent.parts)
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, (base, node.module)))
            yield from (f"{module}.{alias.name}" for alias in node.names)


def parts_imported(path: Path) -> set[str]:
    own = (name.split(".") for name in imports(path))
    return {name[1] for name in own if name[0] == "microdesign" and len(name) > 1 and name[1] != "__version__"}


def libraries_imported(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(path)}


def test_the_source_root_is_no_package() -> None:
    assert not (ROOT / "platform" / "__init__.py").exists()
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_the_modules_are_found() -> None:
    assert {part_of(path) for path in MODULES} >= set(MAY_IMPORT)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_down(path: Path) -> None:
    part = part_of(path)
    if part in MAY_IMPORT:
        allowed = FOUNDATION if part in FOUNDATION else FOUNDATION | {part} | MAY_IMPORT[part]
        assert parts_imported(path) <= allowed


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_ray_and_mlflow_stay_at_the_edge(path: Path) -> None:
    libraries = libraries_imported(path)
    at_top = path.parent == PACKAGE and part_of(path) not in MAY_IMPORT
    if "ray" in libraries:
        assert at_top or name_of(path) in RAY_EDGE
    if "mlflow" in libraries:
        assert name_of(path) == "tracking.py"


@pytest.mark.parametrize("path", [*MODULES, *TEST_MODULES], ids=lambda path: path.name)
def test_no_long_modules(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST


def public_without_docstring(body: list[ast.stmt], prefix: str = "") -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            if not ast.get_docstring(node):
                yield f"{prefix}{node.name}"
            if isinstance(node, ast.ClassDef):
                yield from public_without_docstring(node.body, f"{node.name}.")


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_public_names_have_docstrings(path: Path) -> None:
    assert ast.get_docstring(parsed(path))
    assert not list(public_without_docstring(parsed(path).body))


def test_the_wheel_holds_every_package() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {".".join(("microdesign", *path.relative_to(PACKAGE).parent.parts)) for path in MODULES}
    assert {name for name in listed if name.startswith("microdesign")} == found


def test_the_import_reader_sees_every_form() -> None:
    source = (
        "import ray.data\nfrom microdesign.model import vae\nfrom . import sweep\nfrom ..design.ledger import Ledger\n"
    )
    path = PACKAGE / "learning" / "imagined.py"
    tree = ast.parse(source)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ast.parse", lambda *_: tree)
        patch.setattr(Path, "read_text", lambda *_, **__: source)
        assert parts_imported(path) == {"model", "learning", "design"}
        assert "ray" in libraries_imported(path)
