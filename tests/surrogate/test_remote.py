"""What an endpoint can do wrong, by a small HTTP server; `tests/serving` has the real application."""

import json
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

import numpy as np
import pytest

from microdesign.core.errors import InputError, MicrodesignError
from microdesign.core.progress import Recorded
from microdesign.surrogate import endpoint
from microdesign.surrogate.arrow_wire import pack
from microdesign.surrogate.remote import RemoteSurrogate

NETWORK = {"size": 8, "dimensions": 2}
MODEL = {"properties": ["Ex"], "digest": "a" * 64, "description": {"model": {"network": NETWORK}}}
ENCODED = {"mean": np.zeros((2, 3)), "std": np.ones((2, 3))}
IMAGES = np.zeros((2, 8, 8), np.uint8)

Answer = Callable[[str], tuple[int, bytes]]
"""A path to a status and a body."""


class Server:
    """A small HTTP server that answers by `self.answer`, notes the paths, and can go away and come back."""

    def __init__(self) -> None:
        self.answer: Answer = lambda path: (200, body(path))
        self.paths: list[str] = []
        self.headers = {"X-Model-Digest": MODEL["digest"]}
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.paths.append(self.path)
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, content = server.answer(self.path)
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                for name, value in server.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, *_: object) -> None:
                """Silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def body(path: str, **changes: object) -> bytes:
    return json.dumps(MODEL | changes).encode() if path == "/v1/model" else pack(ENCODED)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(endpoint, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(endpoint, "_LONGEST_PAUSE", 0.05)
    made = Server()
    yield made
    made.stop()


def test_a_server_that_goes_away_is_waited_for(server: Server) -> None:
    progress = Recorded()
    surrogate = RemoteSurrogate(server.url, progress=progress)

    def start_once_missed() -> None:
        while not progress.texts:
            time.sleep(0.01)
        server.start()

    server.stop()
    Thread(target=start_once_missed).start()
    np.testing.assert_array_equal(surrogate.encode(IMAGES)[1], ENCODED["std"])
    waiting, again = progress.texts
    assert waiting.startswith(f"the Serve endpoint at {server.url} does not answer (")
    assert waiting.endswith("waiting for it up to 120 s")
    assert again.startswith(f"the Serve endpoint at {server.url} answers again after ")


def test_answers_of_a_restart_are_waited_out(server: Server) -> None:
    """Proxies answer 502 to 504, one without its application 404 and one that has lost a replica 500."""
    surrogate = RemoteSurrogate(server.url)
    left = [500, 404, 503, 502]
    server.answer = lambda path: (left.pop(), b"") if left else (200, body(path))
    np.testing.assert_array_equal(surrogate.encode(IMAGES)[1], ENCODED["std"])
    assert server.paths.count("/v1/encode") == 5


def test_a_server_that_stays_away_ends_the_work_as_no_fault_of_the_input(server: Server) -> None:
    surrogate = RemoteSurrogate(server.url, patience=0.3)
    server.answer = lambda path: (503, b"")
    begun = time.monotonic()
    with pytest.raises(
        MicrodesignError, match=r"has not answered for 0 s \(status 503\); start it again: the same"
    ) as at:
        surrogate.encode(IMAGES)
    assert not isinstance(at.value, InputError)
    assert time.monotonic() - begun >= 0.3


def test_an_address_that_never_answered_is_bad_input(server: Server) -> None:
    server.answer = lambda path: (503, b"")
    with pytest.raises(InputError, match=r"does not answer \(status 503\); start it or correct the address"):
        RemoteSurrogate(server.url)
    assert len(server.paths) == endpoint.ATTEMPTS


def test_a_server_that_is_too_slow(server: Server) -> None:
    """At first it is bad input; later it may be busy, and is asked again."""
    held, slow = Event(), lambda path: (held.wait(5), (200, body(path)))[1]
    surrogate = RemoteSurrogate(server.url, timeout=0.1, patience=0.1)
    server.answer = slow
    with pytest.raises(InputError, match=r"does not answer /v1/model within 0\.1 s; give it more replicas or raise"):
        RemoteSurrogate(server.url, timeout=0.1)
    with pytest.raises(MicrodesignError, match=r"\(no answer to /v1/encode within 0\.1 s; it may need more replicas\)"):
        surrogate.encode(IMAGES)
    held.set()


def test_another_model_at_the_same_address(server: Server) -> None:
    """Every answer says of which model it is."""
    surrogate = RemoteSurrogate(server.url)
    surrogate.encode(IMAGES)
    server.headers = {"X-Model-Digest": "b" * 64}
    with pytest.raises(InputError, match=r"now serves the model b{12}, at first it was a{12}; deploy that again"):
        surrogate.encode(IMAGES)
    server.headers = {}
    with pytest.raises(InputError, match="does not say of which model its answer is; expected a microdesign endpoint"):
        surrogate.encode(IMAGES)


def test_a_server_that_asks_for_time_is_given_it(server: Server) -> None:
    surrogate = RemoteSurrogate(server.url)
    for status, after, least in ((503, "1", 1.0), (429, "soon", 0.0), (408, "-1", 0.0)):
        left = [status]
        server.answer = lambda path, left=left: (left.pop(), b"") if left else (200, body(path))
        server.headers["Retry-After"] = after
        begun = time.monotonic()
        surrogate.encode(IMAGES)
        assert least <= time.monotonic() - begun < least + 0.9


def test_what_is_no_endpoint(server: Server) -> None:
    cases: list[tuple[Answer, str]] = [
        (lambda path: (200, b"<html>"), "answers in no JSON"),
        (lambda path: (200, b"[1]"), "describes no model; expected a microdesign endpoint"),
        (lambda path: (200, body(path, description={})), "describes a model without a network"),
        (
            lambda path: (200, body(path, description={"model": {"network": {"size": 0, "dimensions": 2}}})),
            "without a net",
        ),
        (lambda path: (200, body(path, description=[1])), "describes a model without a network"),
        (lambda path: (500, b"oops"), "answered 500; expected a microdesign endpoint"),
    ]
    for server.answer, message in cases:
        with pytest.raises(MicrodesignError, match=message):
            RemoteSurrogate(server.url)


def test_wrong_answers(server: Server) -> None:
    surrogate = RemoteSurrogate(server.url)
    for content, message in (
        (b"nothing", "no readable Arrow stream"),
        (pack({"mean": np.zeros((2, 3))}), "answered /v1/encode with no 'std'"),
        (pack({"mean": np.zeros((2, 3)), "std": np.full((2, 3), np.nan)}), "not finite for 'std'"),
        (pack({"mean": np.zeros((1, 3)), "std": np.ones((2, 3))}), "with 1 of 'mean' for 2 entries; expected one each"),
    ):
        server.answer = lambda path, content=content: (200, body(path) if path == "/v1/model" else content)
        with pytest.raises(InputError, match=message):
            surrogate.encode(IMAGES)
