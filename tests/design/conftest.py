"""Fixtures of the campaigns' tests."""

import pytest
from small_model import MATERIALS, small_surrogate

from microdesign.model.surrogate import LocalSurrogate
from microdesign.physics.materials import Materials


@pytest.fixture(scope="session")
def materials() -> Materials:
    return MATERIALS


@pytest.fixture(scope="session")
def surrogate() -> LocalSurrogate:
    return small_surrogate()
