"""What Serve's HTTP proxies do around each request: one whose ingress replica dies is sent again, to another replica.

Ray answers 500 then, and sends nothing again, since it cannot know what a request changes; ours change nothing. Proxies
take this up by the environment of `ray start`, or of `serve run` where that starts Ray:
`RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH=microdesign.serving.proxy:middleware`.
"""

import asyncio
import json
import time

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PURE = tuple(f"/v1/{name}" for name in ("encode", "decode", "predict", "sample", "draw", "model"))
"""Ends of the paths whose answers are pure functions of the request; other applications may have the same proxy."""
PATIENCE = 30.0
"""Seconds from the first death on for which a request is sent again; the start of a replica on a busy machine."""
KEPT = 4 * 2**20
"""Longest body that is kept to be sent again, bytes."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.5


class SentAgain:
    """ASGI middleware that asks again where there is no answer, and answers 503 with `Retry-After` in the end.

    Args:
        app: The proxy.
        patience: Seconds from the first death on for which a request is sent again.
    """

    def __init__(self, app: ASGIApp, patience: float = PATIENCE) -> None:
        self._app, self._patience = app, patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Takes a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body, answer = _Body(receive), _Answer(send)
        died: float | None = None
        pause = _FIRST_PAUSE
        while True:
            # Serve adds an identifier to the headers.
            await self._app({**scope, "headers": list(scope["headers"])}, body.again(), answer)
            if answer.begun or body.disconnected:
                return
            answer.forget()
            # The time that the client takes for its body does not count.
            died = died or time.monotonic()
            pure = scope["path"].endswith(PURE) and body.kept
            if not pure or time.monotonic() - died + pause > self._patience:
                break
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        detail = json.dumps({"detail": "The replica that had the request died; try again."}).encode()
        headers = [(b"content-type", b"application/json"), (b"retry-after", b"1")]
        await send({"type": "http.response.start", "status": 503, "headers": headers})
        await send({"type": "http.response.body", "body": detail})


class _Body:
    """A request's messages, which are kept so that they can be received again."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._messages: list[Message] = []
        self._length = 0
        self.disconnected = False

    @property
    def kept(self) -> bool:
        return self._length <= KEPT

    def again(self) -> Receive:
        """What receives the messages from the first one on."""
        place = 0

        async def receive() -> Message:
            nonlocal place
            if place < len(self._messages):
                place += 1
                return self._messages[place - 1]
            message = await self._receive()
            self.disconnected = message["type"] == "http.disconnect"
            self._length += len(message.get("body", b""))
            if self.kept:
                self._messages.append(message)
                place += 1
            else:
                self._messages.clear()
                place = 0
            return message

        return receive


class _Answer:
    """Sends an answer, its head not before the first of its body: a replica may die between the two."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._head: Message | None = None
        self.begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._head = message
            return
        if self._head is not None:
            head, self._head, self.begun = self._head, None, True
            await self._send(head)
        await self._send(message)

    def forget(self) -> None:
        self._head = None


def middleware() -> list[Middleware]:
    """What Serve's proxies are given."""
    return [Middleware(SentAgain)]
