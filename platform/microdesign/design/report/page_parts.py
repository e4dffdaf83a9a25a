"""Parts of a campaign's page as text: what tooltips say, downloads, phases, where the model is."""

import base64
import mimetypes
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from microdesign.core.references import Endpoint, RegisteredModel, parse_model
from microdesign.design.report.charts.style import names_of
from microdesign.design.report.export import png_uri
from microdesign.design.report.result import CampaignResult
from microdesign.microstructure.drawing import in_proportion, picture, png
from microdesign.physics.materials import Materials, Phase

LARGEST_DOWNLOAD = 2**18
"""Bytes of the largest file that the page itself holds; it links to larger ones beside it."""
_THUMBNAIL = 64
"""Pixels along an axis of the pictures in tooltips, about."""


def tooltips(result: CampaignResult) -> list[dict[str, Any]]:
    """Title, lines of (name, text) and picture, where there is one, of each evaluated design."""
    names, images = names_of(result), _thumbnails(result)
    found = []
    for number, each in enumerate(result.search.evaluated, start=1):
        title = f"evaluation {number}" + (f", {names[each.key]}" if each.key in names else "")
        lines = [("", "initial design" if each.stage == "initial" else f"refined ({each.stage})")]
        for name, value in each.verified.items():
            predicted = each.predicted.get(name)
            beside = "" if predicted is None else f" (predicted {predicted:.4g})"
            lines.append((name, with_unit(value, result.units[name]) + beside))
        lines += [("error", f"{each.error:.2%}"), ("volume fraction", f"{each.volume_fraction:.3f}")]
        found.append({"title": title, "lines": lines, "image": images.get(number)})
    return found


def _thumbnails(result: CampaignResult) -> dict[int, str]:
    """Pictures of the designs in the gallery by their numbers."""
    found = {}
    for each in result.search.rounds:
        for number, labels in zip(each.shown, result.labels(each.images), strict=False):
            coarse = labels[(slice(None, None, -(-max(labels.shape) // _THUMBNAIL)),) * labels.ndim]
            coarse = in_proportion(np.ascontiguousarray(coarse), result.aspect)
            found[number] = png_uri(png(picture(coarse, result.target.phases)))
    return found


def shown_unit(unit: str) -> str:
    """The unit for people: nothing of numbers without one, and where the materials name none."""
    return "" if unit == "1" or "in the materials" in unit else unit  # a quotient's too, of one that is not named


def with_unit(value: float, unit: str) -> str:
    """`2.4 GPa`; the number alone where there is no unit."""
    return f"{value:.4g} {shown_unit(unit)}".strip()


def asked_for(result: CampaignResult) -> str:
    """The target as a title: `Ex 2.4 GPa, kx/ky max`."""
    units = {name: shown_unit(unit) for name, unit in result.units.items()}
    # An optimum alone has no value that could be in a unit.
    return ", ".join(
        f"{name} {goal}" + (f" {units[name]}" if units[name] and str(goal) not in ("max", "min") else "")
        for name, goal in result.target.properties.items()
    )


def download(path: str, folder: str) -> str:
    """Where the page gets a file from: from itself (`data:`), or from beside it where the file is large."""
    file = Path(path)
    if file.stat().st_size > LARGEST_DOWNLOAD:
        return Path(os.path.relpath(path, folder)).as_posix()
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return f"data:{kind};base64,{base64.b64encode(file.read_bytes()).decode()}"


def phase_texts(materials: Materials) -> list[str]:
    """What each phase is: `E 70 GPa, nu 0.33, k 160 W/(m K)`."""
    units = {**materials.units.model_dump(), "nu": "1"}
    return [_phase_text(phase, units) for phase in materials.phases]


def _phase_text(phase: Phase, units: dict[str, str]) -> str:
    parts = []
    for name, value in phase.model_dump(exclude_none=True).items():
        if isinstance(value, Sequence) and not isinstance(value, str):
            value = np.array2string(np.array(value), separator=", ").replace("\n", "")
            parts.append(f"{name} {value}")
        elif name in units:
            parts.append(f"{name} {with_unit(float(value), units[name])}")
        else:
            parts.append(f"{name} {value}")
    return ("void: " if phase.E == 0 else "") + ", ".join(parts)


def model_link(result: CampaignResult) -> str:
    """Address of the model: an endpoint, a page of MLflow, or a folder beside the page; empty where there is none."""
    if not result.model_name:
        return ""
    model = parse_model(result.model_name)
    if isinstance(model, Endpoint):
        return model.url
    if isinstance(model, RegisteredModel):
        uri = result.tracking_uri
        number = "" if model.version is None else f"/versions/{model.version}"
        return f"{uri.rstrip('/')}/#/models/{model.name}{number}" if uri.startswith("http") else ""
    folder = Path(model.path)
    return Path(os.path.relpath(folder, result.folder)).as_posix() if folder.is_dir() else ""
