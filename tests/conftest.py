"""Fixtures shared by all the tests."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
import torch
from safetensors.torch import save_file

from microdesign.model.losses.vgg import NAMES, WIDTHS


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where tests run in several processes, those that start Ray stay in two: more Rays would crowd each other.

    One has the tests of the session's local Ray, the other the system tests with a cluster of their own. Both begin at
    once, for xdist hands the largest groups out first. They mostly wait, yet a third process beside them slows both.
    """
    for item in items:
        if item.get_closest_marker("ray"):
            item.add_marker(pytest.mark.xdist_group("system" if "system" in item.path.parts else "ray"))


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    """One local Ray of two processors for the whole session."""
    for name in ("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "RAY_USAGE_STATS_ENABLED"):
        os.environ.setdefault(name, "0")  # a process less each in every training and every labelling
    os.environ.setdefault("RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH", "microdesign.serving.proxy:middleware")
    for left in (2, 1, 0) if not ray.is_initialized() else ():
        try:
            ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
            break
        except Exception:  # Ray gives its node half a minute, which a machine with other work may need longer than
            ray.shutdown()
            if not left:
                raise
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def vgg_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state dict as torchvision's, of three convolutions."""
    stream, tensors, channels_in = torch.Generator().manual_seed(0), {}, 3
    for name, channels in zip(NAMES[:3], WIDTHS, strict=False):
        scale = math.sqrt(2 / (9 * channels_in))
        tensors[f"{name}.weight"] = scale * torch.randn(channels, channels_in, 3, 3, generator=stream)
        tensors[f"{name}.bias"] = 0.1 * torch.randn(channels, generator=stream)
        channels_in = channels
    path = tmp_path_factory.mktemp("vgg") / "vgg19.safetensors"
    save_file(tensors, path)
    return path
