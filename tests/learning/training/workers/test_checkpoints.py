"""Training states as Ray checkpoints: the same tensors again, no code, nothing left behind."""

import pickle
import shutil
from pathlib import Path

import pytest
import ray.train
import torch

from microdesign.learning.training.workers.checkpoints import load_state, state_checkpoint


def test_a_state_comes_back() -> None:
    layer = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(layer.parameters())
    layer(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    state = {"model": layer.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 7, "seconds": 1.5}
    with state_checkpoint(lambda: state) as checkpoint:
        folder = Path(checkpoint.path)
        again = load_state(checkpoint)
    assert again is not None
    assert not folder.exists()
    assert (again["epoch"], again["seconds"]) == (7, 1.5)
    torch.testing.assert_close(again["model"], dict(state["model"]), rtol=0, atol=0)
    torch.testing.assert_close(again["optimizer"]["state"], state["optimizer"]["state"], rtol=0, atol=0)


def test_any_number_of_workers_takes_up_what_any_other_left() -> None:
    weight = torch.rand(2)
    for saved in (False, True):
        name = ("module." if saved else "") + "layer.weight"
        with state_checkpoint(lambda name=name: {"model": {name: weight}}) as checkpoint:
            for wrapped in (False, True):
                state = load_state(checkpoint, wrapped=wrapped)
                assert state is not None
                assert list(state["model"]) == ["module.layer.weight" if wrapped else "layer.weight"]
                assert torch.equal(next(iter(state["model"].values())), weight)


def test_each_worker_gets_its_own_part_again(tmp_path: Path) -> None:
    """Ray puts the files of all workers into one folder."""
    for rank in range(2):
        with state_checkpoint(lambda rank=rank: {"epoch": 10 + rank, "own": {"labels": rank}}, rank) as part:
            shutil.copytree(part.path, tmp_path, dirs_exist_ok=True)
    merged = ray.train.Checkpoint.from_directory(tmp_path)
    states = [load_state(merged, rank) for rank in range(4)]
    assert [(state["epoch"], state["own"]["labels"]) for state in states] == [(10, 0), (10, 1), (10, 0), (10, 1)]


def test_the_files_go_when_the_report_fails() -> None:
    kept: list[Path] = []

    def report() -> None:
        with state_checkpoint(lambda: {"epoch": 1}) as checkpoint:
            kept.append(Path(checkpoint.path))
            raise RuntimeError("lost")

    with pytest.raises(RuntimeError, match="lost"):
        report()
    assert not kept[0].exists()


def test_no_checkpoint_is_no_state() -> None:
    assert load_state(None) is None


class Code:
    def __reduce__(self) -> tuple[object, ...]:
        return (print, ("executed",))


def test_code_is_never_loaded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"model": Code()}, tmp_path / "state.pt")
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        load_state(ray.train.Checkpoint.from_directory(tmp_path))
    assert "executed" not in capsys.readouterr().out
