"""The command of clusters: `submit`."""

from typing import Annotated, Literal

import typer

from microdesign.cli.options import ConfigFile
from microdesign.cli.session import verbosity
from microdesign.core.progress import Lines, silent

app = typer.Typer()


@app.command()
def submit(
    address: Annotated[str, typer.Argument(help="Job server of a Ray cluster, http://HEAD:8265.")],
    job: Annotated[
        Literal["generate", "label", "pretrain", "train", "sweep", "evaluate", "design"],
        typer.Argument(help="The job."),
    ],
    config: ConfigFile,
    wait: Annotated[bool, typer.Option(help="Follow the job's log until it ends.")] = True,
) -> None:
    """Run a job on a cluster through Ray's job API."""
    from microdesign.jobs.submission import submit as run

    # The job's own lines have a clock already.
    run(address, job, config, wait, silent if verbosity.quiet else Lines(clock=False))
