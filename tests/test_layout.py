"""The house rules that a reader of the source tree can check: who imports whom, sizes, docstrings, packaging."""

import ast
import tomllib
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "platform" / "microdesign"
MODULES = sorted(PACKAGE.rglob("*.py"))
TEST_MODULES = sorted((ROOT / "tests").rglob("*.py"))

ROOMS = (
    "core",
    "tracking",
    "microstructure",
    "physics",
    "export",
    "model",
    "surrogate",
    "learning",
    "design",
    "experiments",
    "demo",
    "jobs",
    "cli",
)
"""From the ground up: a room imports itself and the rooms before it, but for what `NOT_FOR` adds."""
NOT_FOR = {
    "microstructure": {"tracking"},
    "physics": {"tracking"},
    "export": {"tracking"},
    "model": {"tracking", "physics"},
    "surrogate": {"tracking"},
}
"""Rooms below that a room does without all the same: computation knows no MLflow, and networks know no physics."""
INSIDE = {"design": ("target", "search", "campaign", "report", "setup", "workflow", "from_micrograph", "api")}
"""The order of the rooms inside a room: each imports itself and those before it."""
RAY_EDGE = (
    "physics/execution/",
    "learning/training/",
    "learning/pretraining/pretrain.py",
    "learning/pretraining/worker.py",
    "learning/sweep/",
    "design/campaign/runners/",
)
"""Where Ray may be imported, besides jobs and serving."""
STARTED_OFTEN = {
    "learning/training/workers/worker.py": {"mlflow", "matplotlib", "sklearn"},
    "learning/pretraining/worker.py": {"mlflow", "matplotlib", "sklearn"},
    "learning/models.py": {"mlflow"},
}
"""Modules that many processes import as they start, and libraries that would take them seconds more."""
LONGEST = 500


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def module_of(path: Path) -> str:
    return ".".join(("microdesign", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


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


def at_the_top(path: Path) -> set[str]:
    """Absolute dotted names of what is imported as soon as the module is."""
    found = set()
    for node in parsed(path).body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def parts_imported(path: Path) -> set[str]:
    own = (name.split(".") for name in imports(path))
    return {name[1] for name in own if name[0] == "microdesign" and len(name) > 1 and name[1] != "__version__"}


def libraries_imported(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(path)}


def test_the_source_root_is_no_package() -> None:
    assert not (ROOT / "platform" / "__init__.py").exists()
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_the_modules_are_found() -> None:
    assert {part_of(path) for path in MODULES} - {"__init__"} == set(ROOMS) - {"jobs"}


def test_imports_point_down() -> None:
    upward = {}
    for path in MODULES:
        part = part_of(path)
        if part in ROOMS:
            allowed = set(ROOMS[: ROOMS.index(part) + 1]) - NOT_FOR.get(part, set())
            upward[name_of(path)] = parts_imported(path) - allowed
    assert {name: parts for name, parts in upward.items() if parts} == {}


def test_imports_point_down_inside_a_room() -> None:
    for room, order in INSIDE.items():
        paths = [path for path in MODULES if part_of(path) == room and path.parent != PACKAGE / room]
        paths += [path for path in MODULES if path.parent == PACKAGE / room and path.name != "__init__.py"]
        found = {path.relative_to(PACKAGE / room).parts[0].removesuffix(".py") for path in paths}
        assert found <= set(order), f"{room}: the rooms {found - set(order)} have no place in {order}"
        for path in paths:
            own = path.relative_to(PACKAGE / room).parts[0].removesuffix(".py")
            inner = {name.split(".")[2] for name in imports(path) if name.startswith(f"microdesign.{room}.")}
            upward = inner - set(order[: order.index(own) + 1])
            assert not upward, f"{name_of(path)} imports {upward}"


def test_no_circle_of_modules() -> None:
    known = {module_of(path): path for path in MODULES}
    graph = {}
    for name, path in known.items():
        targets = {found if found in known else found.rpartition(".")[0] for found in imports(path)}
        graph[name] = (targets & set(known)) - {name, "microdesign"}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_ray_and_mlflow_stay_at_the_edge() -> None:
    users: dict[str, set[str]] = {
        library: {name_of(path) for path in MODULES if library in libraries_imported(path)}
        for library in ("ray", "mlflow")
    }
    assert {name for name in users["ray"] if not name.startswith(RAY_EDGE)} == set()
    assert {name for name in users["mlflow"] if not name.startswith("tracking/")} == set()


def test_processes_that_start_often_import_no_slow_library() -> None:
    known = {module_of(path): path for path in MODULES}
    for start, slow in STARTED_OFTEN.items():
        seen, left = set(), [PACKAGE / start]
        while left:
            for name in at_the_top(left.pop()) - seen:
                seen.add(name)
                left += [known[module] for module in (name, name.rpartition(".")[0]) if module in known]
        assert len(seen) > 30
        assert slow & {name.split(".")[0] for name in seen} == set(), start


def test_no_long_modules() -> None:
    long = [path.name for path in (*MODULES, *TEST_MODULES) if len(path.read_text("utf-8").splitlines()) > LONGEST]
    assert long == []


def public_without_docstring(body: list[ast.stmt], prefix: str = "") -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            if not ast.get_docstring(node) and not any(ast.unparse(each) == "overload" for each in node.decorator_list):
                yield f"{prefix}{node.name}"
            if isinstance(node, ast.ClassDef):
                yield from public_without_docstring(node.body, f"{node.name}.")


def test_public_names_have_docstrings() -> None:
    assert [name_of(path) for path in MODULES if not ast.get_docstring(parsed(path))] == []
    bare = {name_of(path): list(public_without_docstring(parsed(path).body)) for path in MODULES}
    assert {name: names for name, names in bare.items() if names} == {}


def test_the_wheel_holds_every_package() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {".".join(("microdesign", *path.relative_to(PACKAGE).parent.parts)) for path in MODULES}
    assert set(listed) == found | {"microdesign.jobs", "microdesign.serving"}


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
