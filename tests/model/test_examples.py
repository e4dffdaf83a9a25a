"""The examples in the docstrings of model and surrogate run and give what they show."""

import doctest
import importlib
import pkgutil

from microdesign import model, surrogate


def test_examples_give_what_they_show() -> None:
    tried = 0
    for package in (model, surrogate):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            result = doctest.testmod(importlib.import_module(found.name))
            assert result.failed == 0, found.name
            tried += result.attempted
    assert tried >= 10
