"""One HTML page that stands alone: what was asked, what was found, and how."""

import io
import json
import re
import shutil
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from microdesign.core.config import load_config
from microdesign.core.errors import InputError
from microdesign.core.files import read_json, write_text
from microdesign.core.pixels import shown_edges
from microdesign.core.units import shown_length
from microdesign.core.units import shown_unit as unit_name
from microdesign.design.campaign.campaign_config import CampaignConfig
from microdesign.design.campaign.ledger import read_trials
from microdesign.design.campaign.trials import Trials
from microdesign.design.report.candidates_table import baseline_title, error_text, verified_text
from microdesign.design.report.charts.report_charts import report_charts
from microdesign.design.report.charts.style import Chart, names_of
from microdesign.design.report.charts.surfaces import runtime as surface_runtime
from microdesign.design.report.charts.surfaces import surface_figure
from microdesign.design.report.charts.vega import picture, runtime
from microdesign.design.report.export import data_uri, png_uri
from microdesign.design.report.field_maps import field_maps
from microdesign.design.report.page_parts import asked_for, download, model_link, phase_texts, shown_unit, tooltips
from microdesign.design.report.reference_pictures import part_picture, whole_picture
from microdesign.design.report.result import CampaignResult, read_result
from microdesign.design.report.result_parts import ConstraintRange
from microdesign.design.report.summary import summarize
from microdesign.design.target.feasibility import feasibility_of
from microdesign.microstructure.drawing import in_proportion
from microdesign.microstructure.drawing import picture as drawn
from microdesign.microstructure.scale_bar import bar_length

RESULT, PAGE, CONFIG, RUN = "result.json", "report.html", "campaign.yaml", "mlflow.json"
"""Files of a campaign's folder: its result, the page, its configuration, and its MLflow run."""
_UNFINISHED = "unfinished"
"""Folder of the images of a report before the end."""
_DESIGN = re.compile(r"(candidate|miss|training-image)-\d+(-nearest|-fine)?\.(npy|png|vti)")
"""Files of an answer's images."""


def write_report(result: CampaignResult) -> Path:
    """Writes `result.json` and `report.html` into a campaign's folder; returns the page's path."""
    folder = Path(result.folder)
    write_text(folder / RESULT, result.model_dump_json(indent=2) + "\n")
    # What an earlier end of the campaign had more of.
    named = {Path(path) for files in result.files for path in files.values()}
    for each in (*result.candidates, *result.misses):
        if each.refined is not None:
            named |= {Path(path) for path in each.refined.files.values()}
        if each.nearest is not None:
            named |= {Path(each.nearest), Path(each.nearest).with_suffix(".png")}
    for path in (path for kind in ("candidates", "misses", "from-data") for path in (folder / kind).glob("*")):
        if _DESIGN.fullmatch(path.name) and named and path not in named:
            path.unlink()
    page = _render(result)
    shutil.rmtree(folder / _UNFINISHED, ignore_errors=True)
    return page


def report_campaign(folder: Path) -> Path:
    """Renders `report.html` again: of `result.json`, or of the ledger where that has gone on since or has not ended.

    Raises:
        InputError: The folder holds no campaign, or an image is missing.
    """
    folder = Path(folder).resolve()
    ended = read_result(folder) if (folder / RESULT).is_file() else None
    if ended is not None and not (folder / CONFIG).is_file():
        return _render(ended)
    trials, identity = read_trials(str(folder))
    if ended is not None and ended.search.designs >= len(trials):
        return _render(ended)
    page = _render(_unfinished(folder, trials, identity))
    if (folder / RESULT).is_file() and (now := read_result(folder)) != ended:  # the campaign has ended meanwhile
        return _render(now)
    return page


def _unfinished(folder: Path, trials: Trials, identity: Mapping[str, Any]) -> CampaignResult:
    """The result of a campaign that is running or was cut off: what needs no model and no physics."""
    if not (folder / CONFIG).is_file():
        raise InputError(f"{folder}: has no {CONFIG}; only a campaign of `microdesign design` has a report.")
    config = load_config(CampaignConfig, folder / CONFIG)
    if config.materials is None:
        raise InputError(f"{folder / CONFIG}: expected `materials`, as `microdesign design` writes them there.")
    feasibility = feasibility_of(config.target, config.materials)
    run = read_json(folder / RUN) if (folder / RUN).is_file() else {}
    result = summarize(
        config, trials, config.materials, feasibility, identity["model"], folder, images=folder / _UNFINISHED
    )
    return result.model_copy(update={"tracking_uri": run.get("uri", "")})


def _render(result: CampaignResult) -> Path:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "images": lambda path: [data_uri(labels, result.target.phases, result.pixel) for labels in result.labels(path)],
        "aspect": lambda path: " / ".join(map(str, reversed(_extent(result, path)))),
        "fraction": lambda path: _fractions(result.labels(path), result.target.phases),
        "download": lambda path: download(path, result.folder),
        "name": lambda path: Path(path).name,
        "percent": lambda value: f"{100 * value:.2f} %",
        "number": lambda value: "" if value is None else f"{value:.4g}",
        "signs": lambda goal: str(goal).replace(">=", "\u2265").replace("<=", "\u2264"),
        "spaced": lambda text: text.replace("%", " %"),
        "change": lambda value: f"{100 * value:+.2f} %".replace("-", "\u2212"),
        "decimals": lambda value: "" if value is None else f"{value:.2f}",
        "unit": shown_unit,
    }
    designs, charts = (*result.candidates, *result.misses), report_charts(result)
    shared = files("microdesign.design.report")
    page = Path(result.folder) / PAGE
    images = list(result.images) if result.target.dims == 2 else []
    fields = field_maps(images, result.materials, result.pixel)
    surfaces = _surfaces(result) if result.target.dims == 3 else {}
    text = environment.from_string(shared.joinpath("template.html").read_text("utf-8")).render(
        r=result,
        asked=asked_for(result),
        answer=[(name, design) for name, design in zip(names_of(result).values(), designs, strict=True)],
        compared=any(each.novelty is not None or each.realism is not None for each in designs),
        checked=any(each.discretization_gap is not None for each in designs),
        spread=any(each.robustness is not None for each in designs),
        made=any(each.manufacturing is not None for each in designs),
        fraction=next(
            (_allowed(each) for each in result.constraints if each.name == "volume_fraction" and each.high != 1), ""
        ),
        allowed=_allowed,
        verified=lambda design, name: verified_text(design, name).replace("->", "\u2192"),
        error=error_text,
        baseline_title=baseline_title,
        bar=lambda path: _bar(result, _extent(result, path)[1]),
        bar_unit=_pixel_text(result),
        phases=phase_texts(result.materials),
        model_link=model_link(result),
        reference=_reference(result),
        fields=None if fields is None else _drawn(fields),
        charts=charts,
        pictures={name: png_uri(picture(each.spec)) for name, each in charts.items()},
        groups=_grouped(charts),
        data=_json(
            {
                "specs": {name: each.spec for name, each in charts.items()},
                "designs": tooltips(result),
                "surfaces": surfaces,
            }
        ),
        runtimes=[Markup(runtime())] + ([Markup(surface_runtime())] if surfaces else []),
        script=Markup(shared.joinpath("report.js").read_text("utf-8")),
        style=Markup(shared.joinpath("report.css").read_text("utf-8")),
    )
    write_text(page, text)
    return page


def _json(value: object) -> Markup:
    """JSON inside a script element, which nothing in it can end."""
    return Markup(json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"))


def _allowed(check: ConstraintRange) -> str:
    return f"at least {check.low:.4g}" if check.high is None else f"{check.low:.4g} to {check.high:.4g}"


def _grouped(charts: Mapping[str, Chart]) -> dict[str, list[str]]:
    """Names of the charts by the section that shows them."""
    reached = [name for name in charts if name.startswith("reached")]
    statistics = [name for name in ("two-point", "chords") if name in charts]
    search = [name for name in charts if name not in (*reached, *statistics)]
    return {"reached": reached, "statistics": statistics, "search": search}


def _fractions(labels: np.ndarray, phases: int) -> str:
    """The volume fractions of all phases but the first, `0.27 / 0.17`."""
    return " / ".join(f"{float((labels == phase).mean()):.3g}" for phase in range(1, phases))


def _reference(result: CampaignResult) -> dict[str, Any] | None:
    """What the page shows of the image beside the candidates; None without one."""
    if result.reference is None:
        return None
    labels = result.labels(result.reference.image)[0]
    size = next((result.labels(each.files["npy"]).shape[1] for each in (*result.candidates, *result.misses)), 0)
    return {
        "whole": whole_picture(labels, result.aspect),
        "part": part_picture(labels, size, result.pixel) if 0 < size <= min(labels.shape) else None,
        "extent": " x ".join(map(str, labels.shape)),
        "properties": {n: v for n, v in result.reference.properties.items() if n in result.target.names},
    }


def _surfaces(result: CampaignResult) -> dict[str, Any]:
    """The surface of each design by the name of its file, to be turned in the page."""
    return {
        Path(files["npy"]).stem: surface_figure(
            result.labels(files["npy"])[0],
            result.target.phases,
            result.boundary != "mirror",
            tuple(result.pixel_size * ratio for ratio in result.aspect or (1.0,) * 3),
            result.length_unit,
        )
        for files in (each.files for each in (*result.candidates, *result.misses))
    }


def _extent(result: CampaignResult, path: str) -> tuple[int, ...]:
    """Rows and columns of the picture of a file's first image, one for each shortest edge."""
    return drawn(in_proportion(result.labels(path)[0], result.aspect), scale=1).shape


def _bar(result: CampaignResult, columns: int) -> dict[str, str] | None:
    """A scale bar below a picture of so many columns: its share of the width, and its length."""
    if not result.length_unit:
        return None
    width = columns * result.pixel.shortest
    length = bar_length(width)
    return {"share": f"{100 * length / width:.2f}%", "text": shown_length(length, result.length_unit)}


def _pixel_text(result: CampaignResult) -> str:
    """Size of a pixel for people."""
    edges, unit = result.pixel.edges, result.length_unit
    if len(edges) == 1:
        return shown_length(edges[0], unit) if unit else "of unknown size"
    return f"{shown_edges(edges)} {unit_name(unit)}" if unit else f"of proportions {shown_edges(edges)}"


def _drawn(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    return png_uri(buffer.getvalue())
