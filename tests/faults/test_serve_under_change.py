"""The application while replicas are killed and it is deployed anew: 2,000 requests, none failed, none of two models.

Minutes on a busy machine, so that it runs where it is asked for, and prints its measurements:
`MICRODESIGN_OUTAGES=1 pytest tests/faults/test_serve_under_change.py -s`.
"""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import ray
import torch
from ray import serve
from ray.util import list_named_actors

from microdesign.core.errors import InputError
from microdesign.core.progress import Recorded
from microdesign.model.bundle import load_bundle, save_bundle
from microdesign.serving.app import ServeConfig, build
from microdesign.surrogate.local import LocalSurrogate
from microdesign.surrogate.remote import RemoteSurrogate
from tests.design.small_model import small_surrogate
from tests.system.settings import free_port, wait_until

pytestmark = [
    pytest.mark.ray,
    pytest.mark.usefixtures("local_ray"),
    pytest.mark.skipif(
        "MICRODESIGN_OUTAGES" not in os.environ, reason="minutes of requests; set MICRODESIGN_OUTAGES=1"
    ),
]
REQUESTS, CLIENTS = 2000, 4
TOKEN = "open-sesame"
IMAGES = np.random.default_rng(0).integers(0, 2, (20, 32, 32), np.uint8)


class Clients:
    """Clients that ask for predictions of as many images, and note when each answer came and whether it is right.

    One half are ours, which send again what failed; the others send once.
    """

    def __init__(self, url: str, expected: np.ndarray) -> None:
        self.url, self.expected = url, expected
        self.answered: list[float] = []
        self.failed: list[str] = []
        self.waits = Recorded()  # of a client for an endpoint that has failed twice in succession
        self.stop = threading.Event()
        predictors = (self._ours, self._plain)
        self.threads = [
            threading.Thread(target=self._ask, args=(predictors[number % 2],), daemon=True) for number in range(CLIENTS)
        ]

    def _ours(self) -> Callable[[], np.ndarray]:
        surrogate = RemoteSurrogate(self.url, TOKEN, progress=self.waits)
        return lambda: surrogate.predict(IMAGES)[0]

    def _plain(self) -> Callable[[], np.ndarray]:
        client = httpx.Client(headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60)
        body = json.dumps({"labels": IMAGES.tolist()})
        digest = client.get(f"{self.url}/v1/model").json()["digest"]

        def predict() -> np.ndarray:
            answer = client.post(f"{self.url}/v1/predict", content=body, headers={"Content-Type": "application/json"})
            if answer.status_code == 200 and answer.headers["X-Model-Digest"] != digest:
                raise InputError("now serves the model")
            return np.array(answer.raise_for_status().json()["mean"])

        return predict

    def _ask(self, predictor: Callable[[], Callable[[], np.ndarray]]) -> None:
        predict = predictor()
        while not self.stop.is_set():
            try:
                mean = predict()
                if not np.allclose(mean, self.expected, rtol=1e-4):
                    self.failed.append("values of another model")
                self.answered.append(time.monotonic())
            except Exception as error:
                self.failed.append(f"{type(error).__name__}: {error}")

    def gap(self, since: float) -> float:
        times = [since, *(each for each in sorted(self.answered) if each > since), time.monotonic()]
        return max(np.diff(times))


@pytest.fixture
def url() -> Iterator[str]:
    port = free_port()
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    yield f"http://127.0.0.1:{port}"
    serve.shutdown()


def kill_a_replica(name: str) -> None:
    names = [each["name"] for each in list_named_actors(all_namespaces=True)]
    replica = next(each for each in names if f"#{name}#" in each)
    ray.kill(ray.get_actor(replica, namespace="serve"), no_restart=True)


def deploy(bundle: Path, pieces: int) -> None:
    config = ServeConfig(bundle=str(bundle), token=TOKEN, cpus=0.05, predictor_replicas=2, max_batch_size=pieces)
    serve.run(build(config), name="microdesign")


def test_no_request_fails(url: str, tmp_path: Path) -> None:
    model = small_surrogate().bundle
    save_bundle(tmp_path / "first", model.model, model.description)
    deploy(tmp_path / "first", 8)
    clients = Clients(url, LocalSurrogate(load_bundle(tmp_path / "first")).predict(IMAGES)[0])
    for thread in clients.threads:
        thread.start()
    wait_until(lambda: len(clients.answered) > 20, 60)
    for what, change in (
        ("nothing", lambda: None),
        ("an ingress replica killed", lambda: kill_a_replica("Ingress")),
        ("a predictor replica killed", lambda: kill_a_replica("PropertyPredictor")),
        ("deployed anew", lambda: deploy(tmp_path / "first", 16)),
    ):
        before, begun = len(clients.answered), time.monotonic()
        change()
        wait_until(lambda before=before: len(clients.answered) >= before + REQUESTS // 4, 300)
        took = time.monotonic() - begun
        rate = (len(clients.answered) - before) / took
        gap = clients.gap(begun)
        print(f"{what:28} {len(clients.answered) - before:6} answers, {rate:6.1f}/s, longest gap {gap:5.2f} s")
        print(*clients.waits.texts, sep="\n")
        clients.waits.texts.clear()
    assert clients.failed == []
    assert len(clients.answered) >= REQUESTS

    # Another model at the same address: each client is told so, and none has a value of it.
    with torch.no_grad():
        for parameter in model.model.parameters():
            parameter.mul_(1.01)
    save_bundle(tmp_path / "second", model.model, model.description)
    clients.stop.set()
    for thread in clients.threads:
        thread.join(60)
    told = Clients(url, clients.expected)
    for thread in told.threads:
        thread.start()
    wait_until(lambda: len(told.answered) > 20, 60)
    deploy(tmp_path / "second", 16)
    wait_until(lambda: len(told.failed) > CLIENTS, 120)
    told.stop.set()
    assert all("now serves the model" in text for text in told.failed)


def test_a_restart_is_waited_for(url: str, tmp_path: Path) -> None:
    """The application is taken down and, a second later, deployed anew; the same call then has its answer."""
    model = small_surrogate().bundle
    save_bundle(tmp_path / "bundle", model.model, model.description)
    deploy(tmp_path / "bundle", 8)
    progress = Recorded()
    surrogate = RemoteSurrogate(url, TOKEN, patience=400, progress=progress)
    before = surrogate.encode(IMAGES)[0]
    serve.delete("microdesign")
    again = threading.Timer(1.0, deploy, (tmp_path / "bundle", 8))
    again.start()
    np.testing.assert_allclose(surrogate.encode(IMAGES)[0], before, rtol=1e-5)
    again.join()
    waiting, back = progress.texts
    assert "does not answer (status 404)" in waiting
    assert "answers again after" in back
