"""One HTML page that stands alone: what was asked, what was found, and how."""

import base64
import io
import re
import shutil
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from matplotlib.figure import Figure

from microdesign.core.config import load_config
from microdesign.core.errors import InputError
from microdesign.core.files import read_json, write_json, write_text
from microdesign.design.campaign.campaign_config import CampaignConfig
from microdesign.design.campaign.ledger import read_trials
from microdesign.design.campaign.trials import Trials
from microdesign.design.report.export import PIXEL
from microdesign.design.report.figures import convergence_figure, front_figure, optima_figure, parity_figure
from microdesign.design.report.result import describe_standing
from microdesign.design.target.feasibility import assess
from microdesign.microstructure.drawing import picture, png
from microdesign.microstructure.io.npy import read_npy

DOCUMENT, PAGE, CONFIG, RUN = "result.json", "report.html", "campaign.yaml", "mlflow.json"
"""Files of a campaign's folder: its answer, the page, what it was told, and where MLflow keeps it."""
_UNFINISHED = "unfinished"
"""Folder of the images of a report before the end."""
_CANDIDATE = re.compile(r"candidate-\d+\.(npy|png|vti)")


def write_report(folder: Path, document: Mapping[str, Any]) -> Path:
    """Writes `result.json` and `report.html` into a campaign's folder; returns the page's path."""
    write_json(folder / DOCUMENT, document)
    # What an earlier end of the campaign had more of.
    named = {Path(path) for entry in document["candidates"] for path in entry.get("files", {}).values()}
    for path in (folder / "candidates").glob("candidate-*"):
        if _CANDIDATE.fullmatch(path.name) and named and path not in named:
            path.unlink()
    page = render_report(folder)
    shutil.rmtree(folder / _UNFINISHED, ignore_errors=True)
    return page


def report_campaign(folder: Path) -> Path:
    """Renders `report.html` again: of `result.json`, or of the ledger where that has gone on since or has not ended.

    Raises:
        InputError: The folder holds no campaign, or an image is missing.
    """
    folder = Path(folder)
    ended = read_json(folder / DOCUMENT) if (folder / DOCUMENT).is_file() else None
    if ended is not None and not (folder / CONFIG).is_file():
        return render_report(folder)
    trials, identity = read_trials(str(folder))
    if ended is not None and ended["evaluations"] >= len(trials):
        return render_report(folder)
    page = _render(folder, _unfinished(folder, trials, identity))
    if (folder / DOCUMENT).is_file() and read_json(folder / DOCUMENT) != ended:  # the campaign has ended meanwhile
        return render_report(folder)
    return page


def _unfinished(folder: Path, trials: Trials, identity: Mapping[str, Any]) -> dict[str, Any]:
    """The document of a campaign that is running or was cut off: what needs no model and no physics."""
    if not (folder / CONFIG).is_file():
        raise InputError(f"{folder}: has no {CONFIG}; only a campaign of `microdesign design` has a report.")
    config = load_config(CampaignConfig, folder / CONFIG)
    if config.materials is None:
        raise InputError(f"{folder / CONFIG}: expected `materials`, as `microdesign design` writes them there.")
    feasibility = assess(config.target, config.materials)
    run = read_json(folder / RUN) if (folder / RUN).is_file() else {}
    return describe_standing(config, trials, config.materials, feasibility, folder / _UNFINISHED) | {
        "baselines": {},
        "after_search": None,
        "utilization": None,
        "stopped": "",
        "model": identity["model"],
        "ledger": str(folder / "evaluations"),
        "tracking_uri": run.get("uri", ""),
    }


def render_report(folder: Path) -> Path:
    """Renders `report.html` again from `result.json` and the images it names.

    Raises:
        InputError: The folder holds no `result.json`, or an image is missing.
    """
    return _render(Path(folder), read_json(Path(folder) / DOCUMENT))


def _render(folder: Path, document: Mapping[str, Any]) -> Path:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["images"] = lambda path: [_picture(labels) for labels in _labels(folder, path)]
    environment.filters["percent"] = lambda value: f"{100 * value:.2f} %"
    environment.filters["number"] = lambda value: "" if value is None else f"{value:.4g}"
    template = environment.from_string(files("microdesign.design.report").joinpath("template.html").read_text("utf-8"))
    page = folder / PAGE
    write_text(page, template.render(d=document, figures=_figures(document)))
    return page


def _figures(document: Mapping[str, Any]) -> dict[str, str]:
    figures = {
        "convergence": convergence_figure(document["history"], document["tolerance"]),
        "parity": parity_figure(document["parity"], document["units"]),
    }
    if document["best_values"]:
        figures["optima"] = optima_figure(document["best_values"], document["units"])
    front = document["front"]
    if front is not None:
        shown = np.array(front["values"]).reshape(-1, len(front["names"]))[:, :2]
        labels = [f"{name} / {document['units'][name]}" for name in front["names"][:2]]
        figures["front"] = front_figure(shown, front["senses"][:2], labels)
    return {name: _drawn(figure) for name, figure in figures.items()}


def _labels(folder: Path, path: str) -> np.ndarray:
    """The images of a campaign's file, `(n, X, Y)`; its folder may have been moved or copied since."""
    given = Path(path)
    return read_npy(given if given.is_file() else folder / given.parent.name / given.name).labels


def _drawn(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    return _data_uri(buffer.getvalue())


def _picture(labels: np.ndarray) -> str:
    return _data_uri(png(picture(labels, scale=PIXEL)))


def _data_uri(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"
