"""A classifier of MICRO2D's classes. Shapes: n images, `(n, 128, 128)` phase labels."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from microdesign.microstructure.data.resampling import resize
from microdesign.microstructure.io.readers import read_images

SIZE, BATCH = 128, 32


def read_classes(path: str, classes: Iterable[str], count: int) -> tuple[np.ndarray, np.ndarray]:
    """The first `count` images of each class, reduced to 128 pixels, and the number of each image's class."""
    images: dict[str, list[np.ndarray]] = {name: [] for name in classes}
    for batch in read_images(path):
        small = batch if batch.labels.shape[1] == SIZE else resize(batch, SIZE)
        for labels, name in zip(small.labels, small.classes or (), strict=True):
            if name in images and len(images[name]) < count:
                images[name].append(labels)
        if all(len(each) == count for each in images.values()):
            break
    lacking = [name for name, each in images.items() if not each]
    if lacking:
        raise SystemExit(f"{path}: has no image of class {lacking[0]}; expected the classes {', '.join(images)}.")
    numbers = np.concatenate([np.full(len(each), i) for i, each in enumerate(images.values())])
    return np.concatenate([np.stack(each) for each in images.values()]), numbers


def classifier(images: np.ndarray, classes: np.ndarray, epochs: int, seed: int) -> tuple[nn.Module, float]:
    """Trains on three quarters of the images; returns the model and its accuracy on the others."""
    torch.manual_seed(seed)
    stream = np.random.default_rng(seed)
    order = stream.permutation(len(images))
    x, y = torch.from_numpy(images[order]).float()[:, None], torch.from_numpy(classes[order])
    held = len(x) // 4
    model = _network(int(y.max()) + 1)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=1e-2)
    steps = epochs * (len(x) - held) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, steps)
    for _ in range(steps):
        rows = torch.from_numpy(stream.integers(held, len(x), BATCH))
        with torch.autocast("cpu", torch.bfloat16):
            loss = F.cross_entropy(model(_augmented(x[rows], stream)), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    model.eval()
    return model, float((_assigned(model, x[:held]) == y[:held]).float().mean())


def share_assigned(model: nn.Module, labels: np.ndarray, number: int) -> float:
    """The share of images that the model assigns to a class."""
    return float((_assigned(model, torch.from_numpy(labels).float()[:, None]) == number).float().mean())


@torch.inference_mode()
def _assigned(model: nn.Module, x: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return torch.cat([model(part.contiguous(memory_format=torch.channels_last)).argmax(1) for part in x.split(64)])


def _augmented(x: Tensor, stream: np.random.Generator) -> Tensor:
    x = x.roll(tuple(stream.integers(0, SIZE, 2).tolist()), (2, 3))
    x = x.flip(2) if stream.random() < 0.5 else x
    x = x.transpose(2, 3) if stream.random() < 0.5 else x
    return x.contiguous(memory_format=torch.channels_last)


def _network(classes: int) -> nn.Module:
    widths, layers = (16, 24, 32, 48, 64), []
    for number, (before, after) in enumerate(zip((1, *widths), widths, strict=False)):
        layers += [nn.Conv2d(before, after, 3, padding=1, padding_mode="circular", bias=False), nn.BatchNorm2d(after)]
        layers += [nn.ReLU()] + ([nn.MaxPool2d(2)] if 0 < number < 4 else [])
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], classes)]
    return nn.Sequential(*layers, *head).to(memory_format=torch.channels_last)
