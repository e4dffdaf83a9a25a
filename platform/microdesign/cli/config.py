"""Commands of configs: `config init`, `show` and `schema`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from microdesign.cli.options import ConfigFile, Experiment, Json, Set
from microdesign.cli.output import print_json
from microdesign.core.errors import InputError

app = typer.Typer(name="config", help="Write, resolve and describe the config file of a job.", no_args_is_help=True)

Job = Annotated[
    Literal["generate", "label", "pretrain", "train", "sweep", "evaluate", "design", "demo"],
    typer.Argument(help="The job."),
]


@app.command()
def init(
    job: Job,
    out: Annotated[Path | None, typer.Argument(metavar="FILE", help="Where; standard output when left out.")] = None,
    what: Experiment = None,
) -> None:
    """Write a config with every key, its default and its meaning."""
    from microdesign.cli.template import template
    from microdesign.core.files import write_text
    from microdesign.jobs.job_configs import config_class

    text = f"# {_usage(job)}\n\n{template(config_class(job, what))}\n"
    if out is None:
        print(text, end="")
        return
    if out.exists():
        raise InputError(f"{out}: exists already; expected a new file.")
    write_text(out, text)
    print(out)


@app.command()
def show(job: Job, config: ConfigFile, overrides: Set = None, what: Experiment = None, as_json: Json = False) -> None:
    """Print a config as it is resolved: with the defaults and the overrides."""
    from microdesign.core.config import dump_yaml
    from microdesign.jobs.job_configs import read_config

    resolved = read_config(job, config, overrides or [], what)
    if as_json:
        print_json(resolved.model_dump(mode="json"))
    else:
        print(dump_yaml(resolved), end="")


@app.command()
def schema(job: Job, what: Experiment = None) -> None:
    """Print the JSON schema of a config, for editors and other programs."""
    from microdesign.jobs.job_configs import config_class

    print_json(config_class(job, what).model_json_schema())


def _usage(job: str) -> str:
    commands = {
        "generate": "microdesign data generate FOLDER --config THIS_FILE",
        "label": "microdesign submit http://HEAD:8265 label THIS_FILE",
        "demo": "microdesign demo --config THIS_FILE",
    }
    return commands.get(job, f"microdesign {job} THIS_FILE")
