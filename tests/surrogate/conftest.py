"""Fixtures of the surrogates' tests: a small model as initialised, and the phases that it is of."""

import pytest

from microdesign.physics.materials import Materials
from microdesign.surrogate.local import LocalSurrogate
from tests.design.small_model import MATERIALS, small_surrogate


@pytest.fixture(scope="session")
def materials() -> Materials:
    return MATERIALS


@pytest.fixture(scope="session")
def surrogate() -> LocalSurrogate:
    return small_surrogate()
