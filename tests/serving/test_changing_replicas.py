"""Answers while replicas die and models change: pure functions of the request, and never of two models."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fastapi import HTTPException
from ray.exceptions import ActorDiedError, ActorUnavailableError

from microdesign.core.errors import InputError
from microdesign.serving import ingress
from microdesign.serving.deployments import Computed
from microdesign.serving.ingress import ask, of_one_model

PIECES = [np.full((2, 1), number) for number in range(5)]


def method(answer: Callable[[Any, int], Any]) -> SimpleNamespace:
    """A method of a deployment: `answer` gets the argument and how many calls there were before."""
    calls = iter(range(10_000))

    async def remote(argument: Any) -> Any:
        found = answer(argument, next(calls))
        if isinstance(found, Exception) and not isinstance(found, InputError):
            raise found
        return found

    return SimpleNamespace(remote=remote)


def by(digest: str, piece: np.ndarray) -> Computed:
    return Computed(digest, (digest,), {"mean": piece})


def test_another_replica_is_asked_in_place_of_a_dead_one(monkeypatch: pytest.MonkeyPatch) -> None:
    dies = 3 * [ActorDiedError(), ActorUnavailableError("away", None)]
    assert asyncio.run(ask(method(lambda x, calls: x + 1 if calls == len(dies) else dies[calls]), 1)) == 2
    monkeypatch.setattr(ingress, "PATIENCE", 0.1)
    with pytest.raises(HTTPException) as error:
        asyncio.run(ask(method(lambda x, calls: ActorDiedError()), 1))
    assert (error.value.status_code, error.value.headers) == (503, {"Retry-After": "1"})
    with pytest.raises(InputError, match="refused"):
        asyncio.run(ask(method(lambda x, calls: InputError("refused")), 1))
    with pytest.raises(ZeroDivisionError):  # a fault of the code is none of a replica's death
        asyncio.run(ask(method(lambda x, calls: ZeroDivisionError()), 1))


def test_pieces_are_of_one_model() -> None:
    stream = np.random.default_rng(0)

    def random(piece: np.ndarray, calls: int) -> Computed:
        """An old and a new model are served by as many replicas."""
        return by("old" if stream.random() < 0.5 else "new", piece)

    def replaced(piece: np.ndarray, calls: int) -> Computed:
        """The old model answered the first three pieces and is gone."""
        return by("old" if calls < 3 else "new", piece)

    for answer in (random, replaced):
        for _ in range(20):
            found = asyncio.run(of_one_model(method(answer), PIECES))
            np.testing.assert_array_equal(found.arrays["mean"], np.concatenate(PIECES))
            assert found.properties == (found.digest,)
    with pytest.raises(HTTPException) as error:
        asyncio.run(of_one_model(method(lambda piece, calls: by(str(calls), piece)), PIECES))
    assert error.value.status_code == 503
