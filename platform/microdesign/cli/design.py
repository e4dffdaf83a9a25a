"""Commands of inverse design: `demo`, `design` and `report`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from microdesign.cli.options import ConfigFile, Json, Set, names, targets
from microdesign.cli.output import print_json, print_table
from microdesign.cli.session import on_ray

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
    from microdesign.demo import DemoConfig, run_demo

    given = {
        "folder": None if folder is None else str(folder),
        "properties": None if properties is None else names(properties),
        "match": None if match is None else str(match),
        "target": targets(target) if target else None,
    }
    options = [f"{name}={json.dumps(value)}" for name, value in given.items() if value is not None]
    settings = load_config(DemoConfig, config, [*options, *(overrides or [])])
    with on_ray() as progress:
        document = run_demo(settings, progress, fresh)
    if as_json:
        print_json(document)
        return
    _print_candidates(document)
    print("\nstages: " + ", ".join(f"{name} {seconds:.0f} s" for name, seconds in document["stages"].items()))


@app.command()
def design(config: ConfigFile, overrides: Set = None, as_json: Json = False) -> None:
    """Run or resume a design campaign."""
    from microdesign.core.config import load_config
    from microdesign.design.campaign.campaign_config import CampaignConfig

    settings = load_config(CampaignConfig, config, overrides or [])
    from microdesign.design.campaign.retraining import retrainer
    from microdesign.design.workflow import design as run

    with on_ray() as progress:
        document = run(settings, progress, retrain=retrainer(settings, progress))
    if as_json:
        print_json(document)
    else:
        _print_candidates(document)


@app.command()
def report(folder: Annotated[Path, typer.Argument(help="Folder of a campaign.")]) -> None:
    """Write a campaign's report again from its record; of one that still runs, or was killed, how it stands."""
    from microdesign.design.report.html import report_campaign

    print(report_campaign(folder))


def _print_candidates(document: dict[str, Any]) -> None:
    target = document["target"]
    rows = [["target", "", *document["goals"].values(), "", ""]]
    for number, c in enumerate(document["candidates"], start=1):
        known = {name: "-" if value is None else f"{value:.4g}" for name, value in c["predicted"].items()}
        values = (f"{known[name]} / {c['verified'][name]:.4g}" for name in target)
        novelty = "" if c["novelty"] is None else f"{c['novelty']:.3f}"
        rows.append([f"candidate {number}", str(c["component"]), *values, f"{c['max_relative_error']:.2%}", novelty])
    for name, b in document["baselines"].items():
        if b is not None:
            values = (f"{b['verified'][key]:.4g}" for key in target)
            rows.append(
                [f"best of {b['of']}, {name.replace('_', ' ')}", "", *values, f"{b['max_relative_error']:.2%}", ""]
            )
    titles = [f"{name} pred. / verified" for name in target]
    print_table(["", "component", *titles, "max. error", "novelty"], rows)
    for line in filter(None, [document["reach"], *document["feasibility"]["warnings"]]):
        print(line)
    print(f"{document['evaluations']} physics evaluations; {document['stopped']}")
    print(f"report: {document['report']}")
    uri = document["tracking_uri"]
    print(f"MLflow: {uri if uri.startswith('http') else f'mlflow ui --backend-store-uri {uri}'}")
