"""What every job does around its one function: read the config, connect to the cluster, print the result as JSON."""

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from pydantic import BaseModel

from microdesign.core.config import ConfigT, load_config
from microdesign.core.errors import InputError, MicrodesignError
from microdesign.core.progress import Progress, shown
from microdesign.physics.execution.cluster import connected


def run_job(
    model: type[ConfigT] | Callable[[str, list[str]], ConfigT], job: Callable[[ConfigT, Progress], Any]
) -> None:
    """Parses `CONFIG [--set a.b=value ...]`, runs the job, prints its result; exits 2 for bad input, 1 for failure.

    Args:
        model: What the config is, or what reads it from its path and overrides.
        job: What to do with it.
    """
    load = partial(load_config, model) if isinstance(model, type) else model
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("config", help="YAML file of settings")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a setting")
    arguments = parser.parse_args()
    try:
        config = load(arguments.config, arguments.set)
        with connected(), shown() as progress:
            result = job(config, progress)
    except MicrodesignError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, InputError) else 1)
    print(result.model_dump_json(indent=2) if isinstance(result, BaseModel) else json.dumps(result, indent=2))
