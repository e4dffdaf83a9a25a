"""The model before its first step: seeded weights, or those of a finished model, rescaled to new data.

Shapes: P properties. y = (t - o) / s are standardised values of t, a property or its logarithm.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from microdesign.core.config import flatten
from microdesign.core.errors import InputError
from microdesign.core.references import PRETRAINED, PRETRAINED_VOLUMES
from microdesign.learning.training.config.train_config import TrainConfig
from microdesign.learning.training.loop import build_model
from microdesign.microstructure.data.manifest import DatasetManifest
from microdesign.model.bundle import Bundle
from microdesign.model.model_config import ModelConfig
from microdesign.model.pretrained import start_bundle
from microdesign.model.prior.priors import MixturePrior
from microdesign.model.standardization import Standardization
from microdesign.model.vae import VAERegression

_NOT_WEIGHTS = {"size", "regressor", "padding", "smoothing"}
"""Settings of a network that do not change its weights, the size where the decoder draws any."""
_ONLY_DRAWING = {"denoiser.start", "denoiser.steps", "denoiser.restarts", "denoiser.sharpness", "denoiser.share"}


def initial_model(
    config: TrainConfig, standardization: Standardization, materials: Mapping[str, Any] | None
) -> VAERegression:
    """Builds the model that training starts with.

    A model to start from (`start`) was trained on other data, and its weights belong to that data's standardization.
    Of the same materials, a property is the same function of the image: the weights are rescaled so that the model
    predicts the same physical values. Of other materials, or of unknown ones, the function is another, and its
    standardised form is what both have in common: the weights stay as they are. A model of images alone, such as the
    pretrained one, gives the encoder and the decoder.

    Args:
        config: Of the training.
        standardization: Of the new data's properties.
        materials: Of the new data, as its manifest has them.

    Raises:
        InputError: There is no such bundle, or it has another architecture or other properties than the config.
    """
    model = build_model(config.loop, len(config.properties))
    model.regressor_sees_draws = config.physics_feedback is not None
    if config.start is not None:
        bundle = load_start(config.start, config)
        weights = _weights(bundle, config.loop.model)
        if not bundle.properties:
            weights = model.state_dict() | {k: v for k, v in weights.items() if not k.startswith("prior.")}
            model.pretrained = frozenset(name.split(".")[0] for name in bundle.model.state_dict()) - {"prior"}
        model.load_state_dict(weights)
        if bundle.properties and materials is not None and materials == bundle.description.materials:
            rescale(model, bundle.description.standardization, standardization)
    return model


def knows_images_alone(config: TrainConfig) -> bool:
    """Whether training for properties starts from a model that has none."""
    return config.start is not None and bool(config.properties) and not start_bundle(config.start).properties


def load_start(start: str, config: TrainConfig) -> Bundle:
    """Loads the bundle to start from.

    Raises:
        InputError: There is no such bundle, or it has another architecture or other properties than the config.
    """
    bundle = start_bundle(start)
    if bundle.properties and bundle.properties != config.properties:
        raise InputError(
            f"start: {start} is a model of {', '.join(bundle.properties)}; expected {', '.join(config.properties)}."
        )
    if reason := _misfit(bundle, config.loop.model):
        raise InputError(
            f"start: {start} is of another architecture ({reason}); give `loop.model` as its model.json does."
        )
    return bundle


def resolve_start(config: TrainConfig) -> tuple[TrainConfig, str]:
    """Returns the config with the pretrained weights of images or volumes; without, and why, where they do not fit."""
    if config.start != PRETRAINED:
        return config, ""
    start = PRETRAINED if config.loop.model.network.dimensions == 2 else PRETRAINED_VOLUMES
    reason = _misfit(start_bundle(start), config.loop.model)
    return config.model_copy(update={"start": None if reason else start}), reason


def resolve_padding(config: TrainConfig, data: DatasetManifest) -> TrainConfig:
    """Returns the config with the padding that suits the images of a data set, where it leaves the padding open."""
    network = config.loop.model.network
    if network.padding is not None:
        return config
    network = network.model_copy(update={"padding": "periodic" if data.periodic else "zero"})
    model = config.loop.model.model_copy(update={"network": network})
    return config.model_copy(update={"loop": config.loop.model_copy(update={"model": model})})


def _misfit(bundle: Bundle, wanted: ModelConfig) -> str:
    """Says which setting keeps a model from starting with the weights of a bundle; empty if none does."""
    there = bundle.description.model
    ignored = set(_NOT_WEIGHTS) if there.network.any_size else _NOT_WEIGHTS - {"size"}
    if there.network.regressor == "own":  # a shared one may get a trunk of its own, but not the other way round
        ignored.discard("regressor")
    found, given = (flatten(each.network.model_dump(exclude=ignored)) for each in (there, wanted))
    if bundle.properties:  # a model of images has no conditional prior
        found |= flatten({"prior": there.prior.model_dump()})
        given |= flatten({"prior": wanted.prior.model_dump()})
    for name, value in given.items():
        if value != found.get(name) and name not in _ONLY_DRAWING:
            return f"{name} {value}, there {found.get(name)}"
    return ""


@torch.no_grad()
def rescale(model: VAERegression, old: Standardization, new: Standardization) -> None:
    """Changes weights in place, so that a model of properties standardised as `old` takes and gives them as `new`.

    With y' = a y + b, a = s / s', b = (o - o') / s', the regressor's last layer gives a mean + b and log std + log a,
    and a mixture prior's first layer takes (y' - b) / a. Exact but for the bounds of log std, and nothing changes where
    `old` is `new`. A conditional prior, whose directions have unit norm, cannot be rescaled: its weights stay.
    """
    if model.property_head is None:
        return
    a = torch.tensor(old.scales).double() / torch.tensor(new.scales).double()
    b = (torch.tensor(old.offsets).double() - torch.tensor(new.offsets).double()) / torch.tensor(new.scales).double()
    a, b, P = a.float(), b.float(), len(a)
    last, direct = _linear(model.property_head.layers[-1]), _linear(model.property_head.direct)
    last.weight[:P] *= a[:, None]
    last.bias[:P] = a * last.bias[:P] + b
    last.bias[P:] += a.log()
    direct.weight *= a[:, None]
    if isinstance(model.prior, MixturePrior):
        first = _linear(model.prior.network[0])
        first.weight /= a
        first.bias.sub_(first.weight @ b)


def _linear(module: nn.Module) -> nn.Linear:
    assert isinstance(module, nn.Linear)
    return module


def _weights(bundle: Bundle, wanted: ModelConfig) -> dict[str, Tensor]:
    """The weights of a bundle, as a model has them whose regressor may get a trunk of its own."""
    state = bundle.model.state_dict()
    if wanted.network.regressor == bundle.description.model.network.regressor:
        return state
    for part in ("trunk.", "features."):
        state |= {f"property_{name}": value for name, value in state.items() if name.startswith(part)}
    # The features of a model of latent maps are the regressor's alone.
    spatial = wanted.network.latent_kind == "spatial"
    return {name: value for name, value in state.items() if not (spatial and name.startswith("features."))}
