"""The answer for people: candidate images, one HTML page that stands alone, and the JSON document."""

import base64
import io
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from matplotlib.figure import Figure

from microdesign.files import read_json, replacing, write_json, write_text
from microdesign.microstructure.drawing import draw, picture, png
from microdesign.microstructure.npy import read_npy

DOCUMENT, PAGE = "result.json", "report.html"
_PIXEL = 4
"""Edge of an image's pixel in its picture."""


def write_image(path: Path, labels: np.ndarray) -> None:
    """Writes labels uint8 `(X, Y)` as `.npy`, and beside it as `.png`."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, labels, allow_pickle=False)
    with replacing(path.with_suffix(".png")) as temporary:
        temporary.write_bytes(png(picture(labels, scale=_PIXEL)))


def write_report(folder: Path, document: Mapping[str, Any]) -> Path:
    """Writes `result.json` and `report.html` into a campaign's folder; returns the page's path."""
    write_json(folder / DOCUMENT, document)
    return render_report(folder)


def render_report(folder: Path) -> Path:
    """Renders `report.html` again from `result.json` and the images it names.

    Raises:
        InputError: The folder holds no `result.json`, or an image is missing.
    """
    document = read_json(Path(folder) / DOCUMENT)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["image"] = lambda path: _data_uri(_png(_found(Path(folder), Path(path))))
    environment.filters["percent"] = lambda value: f"{100 * value:.2f} %"
    environment.filters["number"] = lambda value: "" if value is None else f"{value:.4g}"
    template = environment.from_string(files("microdesign.design").joinpath("report_template.html").read_text("utf-8"))
    history = io.BytesIO()
    convergence_figure(document["history"], document["tolerance"]).savefig(history, format="png", dpi=90)
    page = Path(folder) / PAGE
    write_text(page, template.render(d=document, history=_data_uri(history.getvalue())))
    return page


def convergence_figure(history: list[float], tolerance: float) -> Figure:
    """Best error after each evaluation, on a logarithmic axis, with the tolerance."""
    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.subplots()
    axes.semilogy(range(1, len(history) + 1), 100 * np.array(history))
    axes.axhline(100 * tolerance, linestyle="--", color="grey", label="tolerance")
    axes.set(xlabel="physics evaluations", ylabel="best worst-property error / %")
    axes.legend()
    return figure


def candidates_figure(images: list[np.ndarray], titles: list[str]) -> Figure:
    """The candidates side by side."""
    figure = Figure(figsize=(2.4 * max(1, len(images)), 2.7), layout="constrained")
    for axes, image, title in zip(
        figure.subplots(1, max(1, len(images)), squeeze=False)[0], images, titles, strict=False
    ):
        draw(axes, image, title=title)
    return figure


def _found(folder: Path, path: Path) -> Path:
    """Where an image of a campaign is now: its folder may have been moved or copied since."""
    return path if path.is_file() else folder / path.parent.name / path.name


def _png(path: Path) -> bytes:
    return png(picture(read_npy(path).labels[0], scale=_PIXEL))


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
