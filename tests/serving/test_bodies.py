"""Bodies of requests: their length, their time, and all of them together."""

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials
from ray import serve

from microdesign.serving.bodies import Bodies, Limits
from microdesign.serving.ingress import authorize, is_local
from microdesign.surrogate.arrow_wire import MEDIA_TYPE

LIMITS = Limits(images=8, arrow_bytes=1000, json_bytes=100, seconds=0.5, bodies=2)


def request(chunks: list[bytes], pause: float = 0.0, **headers: str) -> Request:
    async def parts() -> AsyncIterator[dict[str, Any]]:
        for chunk in chunks:
            await asyncio.sleep(pause)
            yield {"type": "http.request", "body": chunk, "more_body": True}
        yield {"type": "http.request", "body": b"", "more_body": False}

    stream = parts()

    async def receive() -> MutableMapping[str, Any]:
        return await anext(stream)

    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": named}, receive)


def status(bodies: Bodies, *requests: Request) -> list[int | bytes]:
    async def each(one: Request) -> int | bytes:
        try:
            return await bodies.read(one)
        except HTTPException as error:
            return error.status_code

    async def together() -> list[int | bytes]:
        return await asyncio.gather(*(each(one) for one in requests))

    return asyncio.run(together())


def test_length_kind_and_time() -> None:
    bodies = Bodies(LIMITS)
    for one, expected in (
        (request([b"a" * 60, b"b" * 40]), b"a" * 60 + b"b" * 40),
        (request([b"a" * 60, b"b" * 41]), 413),
        (request([], content_length="101"), 413),
        (request([], content_length="9" * 5000), 413),
        (request([b"a" * 1000], content_type=MEDIA_TYPE), b"a" * 1000),
        (request([b"a" * 1001], content_type=MEDIA_TYPE), 413),
        (request([b"a"], content_type="text/html"), 415),
        (request([b"a"] * 9, pause=0.2), 408),
    ):
        assert status(bodies, one) == [expected]
    # What was refused is no longer held.
    assert status(bodies, request([b"a"])) == [b"a"]


def test_all_bodies_together() -> None:
    many = [request([b"a" * 900, b"b"], pause=0.1, content_type=MEDIA_TYPE) for _ in range(5)]
    found = status(Bodies(LIMITS), *many)
    assert found.count(503) >= 1
    assert found.count(503) + found.count(b"a" * 900 + b"b") == 5


@pytest.mark.parametrize(("host", "local"), [("127.0.0.1", True), ("::1", True), ("10.0.0.3", False), ("", False)])
def test_which_clients_are_this_machine(host: str, local: bool) -> None:
    assert is_local(host) == local


def test_who_is_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    right, wrong = (HTTPAuthorizationCredentials(scheme="Bearer", credentials=each) for each in ("secret", "guess"))
    for token, host, given, refused in (
        (None, "127.0.0.1", None, None),
        (None, "10.0.0.3", None, 403),
        (None, "10.0.0.3", right, 403),
        ("secret", "10.0.0.3", right, None),
        ("secret", "10.0.0.3", wrong, 401),
        ("secret", "127.0.0.1", None, 401),
    ):
        context = SimpleNamespace(servable_object=SimpleNamespace(token=token))
        monkeypatch.setattr(serve, "get_replica_context", lambda context=context: context)
        asked = Request({"type": "http", "headers": [], "client": (host, 1)})
        try:
            asyncio.run(authorize(asked, given))
            found = None
        except HTTPException as error:
            found = error.status_code
        assert found == refused, (token, host, given)
