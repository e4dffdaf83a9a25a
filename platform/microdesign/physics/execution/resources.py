"""The resources that a job needs of Ray, and whether this machine has them."""

import os
from collections.abc import Mapping

import ray

from microdesign.core.errors import InputError


def check_resources(what: str, each: Mapping[str, float], settings: str, workers: int = 1) -> None:
    """Refuses what a local Ray, which does not grow, would wait for forever and in silence.

    Args:
        what: What is to run.
        each: Ray's resources of each worker, by name.
        settings: The settings to change.
        workers: How many there have to be at once.

    Raises:
        InputError: This machine's Ray has less.
    """
    if os.environ.get("RAY_ADDRESS"):
        return
    have = ray.cluster_resources()
    for kind, amount in each.items():
        if amount * workers > have.get(kind, 0):
            asked = f"{amount * workers:g} {kind}" + (f" in {workers} workers" if workers > 1 else "")
            raise InputError(
                f"{what} asks for {asked}; this machine's Ray has {have.get(kind, 0):g}: change {settings}, or set "
                "RAY_ADDRESS."
            )
