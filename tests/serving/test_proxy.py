"""Requests whose replica dies are sent again by the proxy, and answered once."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from microdesign.serving import proxy
from microdesign.serving.ingress import app
from microdesign.serving.proxy import PURE, SentAgain


class Dying:
    """An application that dies under its first requests: before it answers, or before the body of its answer."""

    def __init__(self, deaths: int, after_head: bool = False) -> None:
        self.deaths, self.after_head = deaths, after_head
        self.bodies: list[bytes] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["headers"].append((b"x-request-id", b"1"))
        assert sum(name == b"x-request-id" for name, _ in scope["headers"]) == 1
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        self.bodies.append(body)
        dies = len(self.bodies) <= self.deaths
        if not dies or self.after_head:
            await send({"type": "http.response.start", "status": 201 if dies else 200, "headers": []})
        if not dies:
            await send({"type": "http.response.body", "body": body})


def post(app: Any, path: str, content: bytes | Callable[[], Any], patience: float = 5.0) -> httpx.Response:
    async def request() -> httpx.Response:
        transport = httpx.ASGITransport(SentAgain(app, patience))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.post(path, content=content)

    return asyncio.run(request())


async def parts() -> Any:
    for number in range(3):
        yield bytes([number]) * 1000


def test_a_request_is_sent_again_whole() -> None:
    whole = b"".join(bytes([number]) * 1000 for number in range(3))
    for path in PURE:
        for after_head in (False, True):
            dying = Dying(2, after_head)
            answer = post(dying, f"/microdesign{path}", parts())
            assert (answer.status_code, answer.content) == (200, whole)
            assert dying.bodies == [whole] * 3


def test_what_cannot_be_sent_again_is_a_503(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy, "KEPT", 2500)
    for path, content, patience, tries in (
        ("/elsewhere", b"x", 5.0, 1),  # another application's, which may change something
        ("/v1/predict", parts(), 5.0, 1),  # too long to be kept
        ("/v1/predict", b"x", 0.1, 3),  # nobody lives
    ):
        dying = Dying(99)
        answer = post(dying, path, content, patience)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        assert answer.json()["detail"].endswith("try again.")
        assert len(dying.bodies) == tries


def test_who_has_gone_is_not_asked_for() -> None:
    calls: list[int] = []

    async def gone() -> Message:
        return {"type": "http.disconnect"}

    async def cancelled(scope: Scope, receive: Receive, send: Send) -> None:
        calls.append(1)
        await receive()

    async def send(message: Message) -> None:
        raise AssertionError(message)

    scope = {"type": "http", "path": "/v1/predict", "headers": []}
    asyncio.run(SentAgain(cancelled)(scope, gone, send))
    assert calls == [1]


def test_every_pure_endpoint_is_known() -> None:
    assert set(PURE) == {path for path in app.openapi()["paths"] if path.startswith("/v1/")}


def test_the_time_of_a_slow_body_is_none_of_the_patience() -> None:
    async def slowly() -> Any:
        for number in range(3):
            await asyncio.sleep(0.2)
            yield bytes([number])

    dying = Dying(2)
    answer = post(dying, "/v1/predict", slowly(), patience=0.3)
    assert (answer.status_code, answer.content) == (200, bytes(range(3)))
