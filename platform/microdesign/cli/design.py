"""Commands of inverse design: `demo`, `design` and `report`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from microdesign.cli.options import ConfigFile, Json, Set, names, targets
from microdesign.cli.output import print_table
from microdesign.cli.session import on_ray, resumable

if TYPE_CHECKING:
    from microdesign.design.report.result import CampaignResult

app = typer.Typer()


@app.command()
def demo(
    target: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A target property; repeat for several.")
    ] = None,
    match: Annotated[Path | None, typer.Option(help="Image (.npy) whose properties become the target.")] = None,
    properties: Annotated[
        str | None, typer.Option(help="Properties taken from --match; Ex,Ey,kx when left out.")
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
        "folder": None if folder is None else str(folder),
        "properties": None if properties is None else names(properties),
        "match": None if match is None else str(match),
        "target": targets(target) if target else None,
    }
    options = [f"{name}={json.dumps(value)}" for name, value in given.items() if value is not None]
    settings = load_config(DemoConfig, config, [*options, *(overrides or [])])
    from microdesign.demo.run import check_demo, run_demo

    check_demo(settings)  # What cannot be had is refused before Ray starts.
    with on_ray() as progress:
        result = run_demo(settings, progress, fresh)
    if as_json:
        print(result.model_dump_json(indent=2))
    else:
        _print_result(result)
        print("\nstages: " + ", ".join(f"{name} {seconds:.0f} s" for name, seconds in result.stages.items()))
    _exit(result)


@app.command()
def design(config: ConfigFile, overrides: Set = None, as_json: Json = False) -> None:
    """Run or resume a design campaign. Exits with 3 where nothing meets the target: near misses are delivered."""
    from microdesign.core.config import load_config
    from microdesign.design.campaign.campaign_config import CampaignConfig

    settings = load_config(CampaignConfig, config, overrides or [])
    from microdesign.design.campaign.retraining import retrainer
    from microdesign.design.workflow import run_design

    with on_ray() if settings.needs_ray else resumable() as progress:
        result = run_design(settings, progress, retrain=retrainer(settings, progress))
    if as_json:
        print(result.model_dump_json(indent=2))
    else:
        _print_result(result)
    _exit(result)


@app.command()
def report(folder: Annotated[Path, typer.Argument(help="Folder of a campaign.")]) -> None:
    """Write a campaign's report again from its record; of one that still runs, or was killed, how it stands."""
    from microdesign.design.report.html import report_campaign

    print(report_campaign(folder))


NOT_MET = 3
"""Exit code of a campaign whose target nothing meets."""


def _print_result(result: "CampaignResult") -> None:
    print(result.verdict.sentence)
    print_table(list(result.table.titles), [list(row) for row in result.table.rows])
    for line in result.summary:
        print(line)


def _exit(result: "CampaignResult") -> None:
    if not result.verdict.is_met:
        raise typer.Exit(NOT_MET)
