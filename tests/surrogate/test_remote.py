"""What an endpoint can do wrong, played by a small HTTP server; `tests/serving` has the real one."""

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.surrogate import remote
from microdesign.surrogate.arrow_wire import pack
from microdesign.surrogate.remote import RemoteSurrogate

NETWORK = {"size": 8, "dimensions": 2}
MODEL = {"properties": ["Ex"], "digest": "a" * 64, "description": {"model": {"network": NETWORK}}}
ENCODED = {"mean": np.zeros((2, 3)), "std": np.ones((2, 3))}
IMAGES = np.zeros((2, 8, 8), np.uint8)

Answer = Callable[[str], tuple[int, bytes]]
"""A path to a status and a body."""


class Endpoint:
    """Answers by `self.answer` and counts the requests."""

    def __init__(self) -> None:
        self.answer: Answer = lambda path: (200, body(path))
        self.paths: list[str] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                endpoint.paths.append(self.path)
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, content = endpoint.answer(self.path)
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, *_: object) -> None:
                """Silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


def body(path: str, **changes: object) -> bytes:
    return json.dumps(MODEL | changes).encode() if path == "/v1/model" else pack(ENCODED)


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.setattr(remote, "_FIRST_PAUSE", 0.001)
    made = Endpoint()
    Thread(target=made.server.serve_forever, daemon=True).start()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_passing_failures_are_retried(endpoint: Endpoint) -> None:
    surrogate = RemoteSurrogate(endpoint.url)
    left = [503, 502]
    endpoint.answer = lambda path: (left.pop(), b"") if left else (200, body(path))
    np.testing.assert_array_equal(surrogate.encode(IMAGES)[1], ENCODED["std"])
    assert endpoint.paths.count("/v1/encode") == 3


def test_lasting_failures_are_said_after_some_attempts(endpoint: Endpoint) -> None:
    surrogate = RemoteSurrogate(endpoint.url)
    endpoint.answer = lambda path: (503, b"")
    with pytest.raises(InputError, match=r"does not answer \(status 503\); start it or correct the address"):
        surrogate.encode(IMAGES)
    assert endpoint.paths.count("/v1/encode") == remote.ATTEMPTS


def test_an_endpoint_that_is_too_slow(endpoint: Endpoint) -> None:
    surrogate = RemoteSurrogate(endpoint.url, timeout=0.2)
    held = Event()
    endpoint.answer = lambda path: (held.wait(5), (200, body(path)))[1]
    with pytest.raises(InputError, match=r"does not answer /v1/encode within 0\.2 s; give it more replicas or raise"):
        surrogate.encode(IMAGES)
    held.set()


def test_another_model_at_the_same_address(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_TRUSTED", 0.0)
    surrogate = RemoteSurrogate(endpoint.url)
    surrogate.encode(IMAGES)
    endpoint.answer = lambda path: (200, body(path, digest="b" * 64))
    with pytest.raises(InputError, match=r"now serves the model b{12}, at first it was a{12}; deploy that again"):
        surrogate.encode(IMAGES)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda path: (200, b"<html>"), "answers in no JSON"),
        (lambda path: (200, b"[1]"), "describes no model; expected a microdesign endpoint"),
        (lambda path: (200, body(path, description={})), "describes a model without a network"),
        (
            lambda path: (200, body(path, description={"model": {"network": {"size": 0, "dimensions": 2}}})),
            "without a net",
        ),
        (lambda path: (200, body(path, description=[1])), "describes a model without a network"),
        (lambda path: (500, b"oops"), "answered 500; expected a microdesign endpoint"),
    ],
)
def test_what_is_no_endpoint(endpoint: Endpoint, answer: Answer, message: str) -> None:
    endpoint.answer = answer
    with pytest.raises(Exception, match=message):
        RemoteSurrogate(endpoint.url)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"nothing", "no readable Arrow stream"),
        (pack({"mean": np.zeros((2, 3))}), "answered /v1/encode with no 'std'"),
        (pack({"mean": np.zeros((2, 3)), "std": np.full((2, 3), np.nan)}), "not finite for 'std'"),
        (pack({"mean": np.zeros((1, 3)), "std": np.ones((2, 3))}), "with 1 of 'mean' for 2 entries; expected one each"),
    ],
)
def test_wrong_answers(endpoint: Endpoint, content: bytes, message: str) -> None:
    surrogate = RemoteSurrogate(endpoint.url)
    endpoint.answer = lambda path: (200, body(path) if path == "/v1/model" else content)
    with pytest.raises(InputError, match=message):
        surrogate.encode(IMAGES)
