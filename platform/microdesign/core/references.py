"""References: where a model comes from, and Python objects that a config names; each form is read here alone.

A model is a bundle folder, a registered model (`models:/NAME@ALIAS` or `models:/NAME/VERSION`, as in MLflow), or the
address of a server (`http://HOST:PORT`). A Python object is `module:name`.
"""

import importlib
from dataclasses import dataclass
from typing import Any

from microdesign.core.errors import InputError

PRETRAINED, PRETRAINED_VOLUMES = "pretrained", "pretrained-volumes"
"""The models that the package brings, of images and of volumes; a folder of that name is `./pretrained`."""
_REGISTRY = "models:/"


@dataclass(frozen=True)
class RegisteredModel:
    """A version of a registered model, by its number or by an alias that points at it; one of the two is given."""

    name: str
    alias: str | None = None
    version: int | None = None

    def __str__(self) -> str:
        """The reference that `parse_model` reads."""
        return (
            f"{_REGISTRY}{self.name}@{self.alias}" if self.version is None else f"{_REGISTRY}{self.name}/{self.version}"
        )


@dataclass(frozen=True)
class BundleFolder:
    """A folder that holds a model."""

    path: str

    def __str__(self) -> str:
        return self.path


@dataclass(frozen=True)
class Endpoint:
    """A server that answers for a model."""

    url: str

    def __str__(self) -> str:
        return self.url


ModelReference = RegisteredModel | BundleFolder | Endpoint


def parse_model(reference: str) -> ModelReference:
    """Reads a reference to a model; whatever is neither registered nor an address is a folder.

    Raises:
        InputError: It begins with `models:/`, and no name with an alias or a version follows.

    Example:
        >>> parse_model("models:/microdesign@champion")
        RegisteredModel(name='microdesign', alias='champion', version=None)
        >>> parse_model("http://head:8000"), parse_model("runs/first/bundle")
        (Endpoint(url='http://head:8000'), BundleFolder(path='runs/first/bundle'))
    """
    if reference.startswith(("http://", "https://")):
        return Endpoint(reference)
    return parse_registered(reference) if reference.startswith(_REGISTRY) else BundleFolder(reference)


def parse_registered(reference: str) -> RegisteredModel:
    """Reads a reference to a registered model.

    Raises:
        InputError: It is none.
    """
    text = reference.removeprefix(_REGISTRY)
    if text != reference:
        name, at, alias = text.partition("@")
        if at and name and alias:
            return RegisteredModel(name, alias=alias)
        name, slash, version = text.partition("/")
        if slash and name and version.isdecimal():
            return RegisteredModel(name, version=int(version))
    raise InputError(f"'{reference}' is no model reference; expected models:/NAME@ALIAS or models:/NAME/VERSION.")


def load_named(reference: str, what: str, expected: str) -> Any:
    """Imports what `module:name` names.

    Args:
        reference: The module and the name in it.
        what: What is to be loaded, for the error: `The prior 'a:b'`.
        expected: What was expected, for the error: `module:name of a Prior`.

    Raises:
        InputError: There is no such module or name, or the module fails.

    Example:
        >>> load_named("math:sqrt", "the function", "module:name")(9.0)
        3.0
    """
    module, _, attribute = reference.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except Exception as error:  # A user's module may raise anything while it is imported.
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"{what} cannot be loaded ({reason}); expected {expected}.") from None
