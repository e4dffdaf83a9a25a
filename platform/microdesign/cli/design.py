"""Commands of inverse design: `demo`, `design` and `report`."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from microdesign.cli.image_options import AS_STATED, ImageOptions, takes_image_options
from microdesign.cli.options import Json, Set, as_overrides, goals, names
from microdesign.cli.output import print_table
from microdesign.cli.session import announce, on_ray, resumable
from microdesign.core.config import read_yaml_mapping
from microdesign.core.errors import InputError

if TYPE_CHECKING:
    from microdesign.design.report.result import CampaignResult, StagedResult

app = typer.Typer()


@app.command()
def demo(
    target: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A target property, a number or a goal; repeat for several."),
    ] = None,
    match: Annotated[Path | None, typer.Option(help="File of an image whose properties become the target.")] = None,
    properties: Annotated[
        str | None, typer.Option(help="Properties taken from --match; Ex,Ey,kx when left out.")
    ] = None,
    dims: Annotated[
        int | None, typer.Option(min=2, max=3, help="2 for images, 3 for volumes, with defaults of their own.")
    ] = None,
    folder: Annotated[Path | None, typer.Option(help="Where everything goes; microdesign-demo when left out.")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file of settings.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over.")] = False,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Run the whole way on embedded defaults: images, labels, model, campaign, report."""
    from microdesign.core.config import load_config
    from microdesign.demo.config import DemoConfig

    given = {
        "dims": dims,
        "folder": None if folder is None else str(folder),
        "properties": None if properties is None else names(properties),
        "match": None if match is None else str(match),
        "target": goals(target) if target else None,
    }
    options = {name: value for name, value in given.items() if value is not None}
    settings = load_config(DemoConfig, config, [*as_overrides(options), *(overrides or [])])
    announce(f"loading what the demo in {settings.folder} takes")
    from microdesign.demo.run import check_demo, run_demo

    check_demo(settings)  # What cannot be had is refused before Ray starts.
    with on_ray() as progress:
        result = run_demo(settings, progress, fresh)
    if as_json:
        print(result.model_dump_json(indent=2))
    else:
        _print_staged(result)
    exit_by_verdict(result)


@app.command()
@takes_image_options()
def design(
    config: Annotated[
        Path | None, typer.Argument(metavar="[CONFIG]", help="YAML file of settings; with --from it may be left out.")
    ] = None,
    micrograph: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="MICROGRAPH",
            help="An image, or with --dims 3 a volume, of two phases or more: a model is fine-tuned on it, and designs "
            "are like it. The options of images are about this file.",
        ),
    ] = None,
    materials: Annotated[
        Path | None, typer.Option(help="With --from: YAML file of the phases, or names: aluminium,pore.")
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="A target property; VALUE is a number, 2.4 GPa, or a goal such as '{at_least: 2}' or '{prefer: min}'; "
            "with --from also 1.15x (times the micrograph's own) or match. Repeat for several; beside CONFIG alone it "
            "takes the place of that property's goal.",
        ),
    ] = None,
    images_as: ImageOptions = AS_STATED,
    minutes: Annotated[
        float | None, typer.Option(help="With --from: wall time of everything, about; 30 when left out.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="With --from: where everything goes; microdesign-from-NAME when left out.")
    ] = None,
    robust: Annotated[
        bool,
        typer.Option(
            "--robust",
            help="Let the worst case count, with outlines half a pixel off or rough: 7 evaluations a design.",
        ),
    ] = False,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Run or resume a design campaign, of a config or from one micrograph.

    Exits with 3 where nothing meets the target: near misses are delivered.
    """
    options = {"materials": materials, "target": target, "minutes": minutes, "folder": folder}
    given = {name: value for name, value in (options | images_as.given()).items() if value is not None}
    if micrograph is not None:
        changes = [*(overrides or []), *(["campaign.robust=true"] if robust else [])]
        _design_from(config, micrograph, given, images_as, changes, as_json)
        return
    if config is None:
        raise InputError("design: expected CONFIG, or --from MICROGRAPH with --materials and --target.")
    for name in given.keys() - {"target"}:
        option = f"--{name.replace('_', '-')}"
        raise InputError(f"{option} goes with --from MICROGRAPH alone; a config states it itself.")
    from microdesign.core.config import load_config
    from microdesign.design.campaign.campaign_config import CampaignConfig

    asked = as_overrides({f"target.properties.{name}": goal for name, goal in goals(target or []).items()})
    settings = load_config(CampaignConfig, config, [*asked, *(overrides or []), *(["robust=true"] if robust else [])])
    announce(f"loading what the campaign {settings.folder} takes")
    from microdesign.design.campaign.retraining import retrainer
    from microdesign.design.workflow import run_design

    with on_ray() if settings.needs_ray else resumable() as progress:
        result = run_design(settings, progress, retrain=retrainer(settings, progress))
    if as_json:
        print(result.model_dump_json(indent=2))
    else:
        _print_result(result)
    exit_by_verdict(result)


def _design_from(
    config: Path | None,
    micrograph: Path,
    given: Mapping[str, Any],
    images_as: ImageOptions,
    overrides: Sequence[str],
    as_json: bool,
) -> None:
    from microdesign.core.config import load_config
    from microdesign.design.from_micrograph.config import MicrographConfig
    from microdesign.physics.materials import load_materials

    values = {} if config is None else read_yaml_mapping(config)
    values.setdefault("folder", f"microdesign-from-{micrograph.stem}")
    values |= {"micrograph": str(micrograph)} | {name: value for name, value in given.items() if name != "preview"}
    if "materials" in given:
        values["materials"] = load_materials(given["materials"]).model_dump(mode="json", exclude_none=True)
    if "target" in given:
        values["target"] = {"properties": goals(given["target"])}  # so that --set target.constraints joins them
    for name in ("materials", "target"):
        if name not in values and not any(override.startswith(f"{name}") for override in overrides):
            raise InputError(f"--from {micrograph}: expected --{name} as well.")
    settings = load_config(MicrographConfig, None, [*as_overrides(values), *overrides])
    if sys.stderr.isatty():  # elsewhere what is refused is one line
        announce(f"reading and measuring {micrograph}")
    from microdesign.design.from_micrograph.preparation import prepare

    with resumable(), images_as.previewing() as preview:
        # What cannot be had is refused before Ray starts and before anything is written.
        prepared = prepare(settings, preview)
    from microdesign.design.from_micrograph.run import design_from

    with on_ray() as progress:
        result = design_from(settings, progress, prepared=prepared)
    if as_json:
        print(result.model_dump_json(indent=2))
    else:
        _print_staged(result)
    exit_by_verdict(result)


@app.command()
def report(folder: Annotated[Path, typer.Argument(help="Folder of a campaign.")]) -> None:
    """Write a campaign's report again from its record; of one that still runs, or was killed, how it stands."""
    from microdesign.design.report.html import report_campaign

    print(report_campaign(folder))


@app.command()
def status(
    folder: Annotated[
        Path,
        typer.Argument(help="Folder of a campaign, training, sweep, pretraining, labelling, demo or `design --from`."),
    ],
    as_json: Json = False,
) -> None:
    """Show how work stands that runs elsewhere, was killed or has ended."""
    from microdesign.design.report.status import folder_status

    found = folder_status(folder)
    print(found.model_dump_json(indent=2) if as_json else found)


def _print_staged(result: "StagedResult") -> None:
    _print_result(result)
    print("\nstages: " + ", ".join(f"{name} {seconds:.0f} s" for name, seconds in result.stages.items()))


NOT_MET = 3
"""Exit code of a campaign whose target nothing meets."""


def _print_result(result: "CampaignResult") -> None:
    print(result.verdict.sentence)
    print_table(list(result.table.titles), [list(row) for row in result.table.rows])
    for line in result.summary:
        print(line)


def exit_by_verdict(result: "CampaignResult") -> None:
    """Ends the process with `NOT_MET` where nothing meets the target.

    Raises:
        typer.Exit: It is so.
    """
    if not result.verdict.is_met:
        raise typer.Exit(NOT_MET)
