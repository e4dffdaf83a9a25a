"""What every job does around its one function: read the config, connect to the cluster, print the result as JSON."""

import argparse
import json
import sys
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from pydantic import BaseModel

from microdesign.core.errors import InputError, MicrodesignError
from microdesign.core.progress import Progress, shown
from microdesign.jobs.job_configs import read_config


def run_job(job: str, run: Callable[[Any, Progress], Any], on_ray: bool = True) -> None:
    """Parses `CONFIG [--set a.b=value ...]`, runs the job, prints its result; exits 2 for bad input, 1 for failure.

    A config is read before anything that takes long is imported, so that an invalid one is refused at once.

    Args:
        job: Name of the job, which determines the class of its config.
        run: What to do with the config; it returns a pydantic model or what JSON takes.
        on_ray: Whether the work needs a connection to Ray.
    """
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("config", help="YAML file of settings")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a setting")
    arguments = parser.parse_args()
    try:
        config = read_config(job, arguments.config, arguments.set)
        with _connection(on_ray), shown() as progress:
            result = run(config, progress)
    except MicrodesignError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, InputError) else 1)
    print(result.model_dump_json(indent=2) if isinstance(result, BaseModel) else json.dumps(result, indent=2))


def _connection(on_ray: bool) -> Any:
    if not on_ray:
        return nullcontext()
    from microdesign.physics.execution.cluster import connected

    return connected()
