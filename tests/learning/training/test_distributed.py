"""Two workers' gradients are those of one worker on both batches together."""

import socket
from pathlib import Path

import pytest
import torch
from torch import distributed, nn
from torch.multiprocessing import get_context

from microdesign.model.model_config import ModelConfig
from microdesign.model.objective import Objective
from microdesign.model.objective_config import ObjectiveConfig
from microdesign.model.prior import mixture
from microdesign.model.vae import VAERegression

BATCH, PROPERTIES = 8, 2
MODEL = ModelConfig.model_validate({"network": {"size": 16, "widths": [8, 8], "latent": 4, "hidden": 16}})
# The terms of decodes are left out: they take some rows of a batch, and of its halves others.
OBJECTIVE = ObjectiveConfig(consistency=0, component_diversity=0, distribution_matching=0, balance=0.5)


def gradients(rows: slice, wrapped: bool) -> dict[str, torch.Tensor]:
    """Gradients of a seeded model on some rows of a seeded batch, each row with its own latent noise."""
    torch.manual_seed(0)
    core = VAERegression(MODEL, PROPERTIES)
    x = (torch.rand(BATCH, 1, 16, 16) < torch.rand(BATCH, 1, 1, 1)).float()
    c, noise = torch.randn(BATCH, PROPERTIES), torch.randn(BATCH, 64)
    c[3, 1] = torch.nan

    def sample(self: mixture.Gaussian, generator: torch.Generator | None = None) -> torch.Tensor:
        own = noise[rows]
        return self.mean + self.log_std.exp() * own[-len(self.mean) :, : self.mean.shape[-1]]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mixture.Gaussian, "sample", sample)
        model = nn.parallel.DistributedDataParallel(core) if wrapped else core
        Objective(OBJECTIVE)(model(x[rows], c[rows]), x[rows], c[rows])["total"].backward()
    return {name: parameter.grad for name, parameter in core.named_parameters() if parameter.grad is not None}


def worker(rank: int, port: int, out: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    torch.save(gradients(slice(rank, None, 2), wrapped=True), out / f"{rank}.pt")
    distributed.barrier()
    distributed.destroy_process_group()


@pytest.mark.slow
def test_two_workers_gradients_equal_one_worker_s(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    processes = [get_context("spawn").Process(target=worker, args=(rank, port, tmp_path)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(300)
        assert process.exitcode == 0
    one = gradients(slice(None), wrapped=False)
    two = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    assert sum(float(gradient.abs().max()) > 0 for gradient in one.values()) > 30
    for name, gradient in one.items():
        torch.testing.assert_close(two[0][name], two[1][name], rtol=0, atol=0)
        torch.testing.assert_close(two[0][name], gradient, rtol=1e-4, atol=1e-6)
    part = gradients(slice(0, None, 2), wrapped=False)
    assert max(float((part[name] - one[name]).abs().max()) for name in one) > 1e-3
