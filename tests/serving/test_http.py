"""The endpoints as any client sees them."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import product
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest

from microdesign.surrogate.arrow_wire import MEDIA_TYPE, pack, unpack
from microdesign.surrogate.intervals import calibrated_prediction
from microdesign.surrogate.local import LocalSurrogate
from microdesign.surrogate.protocol import DrawRequest

pytestmark = pytest.mark.ray
TARGET = {"Ex": 20.0, "vxy": 0.3, "kx": 1.5}
IMAGES = np.random.default_rng(0).integers(0, 2, (3, 32, 32), np.uint8)
LATENTS = np.random.default_rng(0).normal(size=(3, 4))
ROUTES = {"/v1/encode", "/v1/decode", "/v1/predict", "/v1/sample", "/v1/draw", "/v1/model", "/healthz"}


@pytest.fixture(scope="module")
def client(endpoint: str, token: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=endpoint, headers={"Authorization": f"Bearer {token}"}, timeout=60) as client:
        yield client


def post_arrow(client: httpx.Client, path: str, content: bytes, accept: str = MEDIA_TYPE) -> httpx.Response:
    return client.post(path, content=content, headers={"Content-Type": MEDIA_TYPE, "Accept": accept})


def test_openapi_lists_the_routes(client: httpx.Client) -> None:
    api = client.get("/openapi.json").json()
    assert set(api["paths"]) == ROUTES
    body = api["paths"]["/v1/encode"]["post"]["requestBody"]["content"]
    assert set(body) == {"application/json", MEDIA_TYPE}
    assert "swagger" in client.get("/docs").text


PAGES = ("/docs", "/openapi.json")


def test_health_needs_no_token(endpoint: str) -> None:
    assert httpx.get(f"{endpoint}/healthz").json() == {"status": "ok"}


def test_everything_else_needs_it(endpoint: str) -> None:
    for path, authorization in product(
        [*sorted(ROUTES - {"/healthz"}), *PAGES], (None, "Bearer guess", "Bearer", "Basic b3Blbi1zZXNhbWU=")
    ):
        headers = {"Authorization": authorization} if authorization else {}
        response = httpx.request("GET" if path in ("/v1/model", *PAGES) else "POST", endpoint + path, headers=headers)
        assert response.status_code == 401, (path, authorization)
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert response.json() == {"detail": "A valid token is needed; send 'Authorization: Bearer TOKEN'."}


def test_slow_clients_do_not_stop_the_service(endpoint: str, client: httpx.Client, token: str) -> None:
    """Connections that send a byte of their body: without the token each is refused at once, with it they wait."""
    address = urlsplit(endpoint)
    head = "POST /v1/encode HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n"
    with ExitStack() as opened:
        for extra in ("", f"Authorization: Bearer {token}\r\n"):
            slow = [socket.create_connection((address.hostname, address.port), 10) for _ in range(260)]
            for each in slow:
                opened.enter_context(each)
                each.sendall(f"{head}{extra}\r\n[".encode())
            begun = time.monotonic()
            assert client.get("/healthz").status_code == 200
            assert client.post("/v1/decode", json={"z": LATENTS.tolist()}).status_code == 200
            assert time.monotonic() - begun < 5
            if not extra:
                assert all(each.recv(12) == b"HTTP/1.1 401" for each in slow)


def test_model(client: httpx.Client, local_surrogate: LocalSurrogate) -> None:
    model = client.get("/v1/model").json()
    assert model["digest"] == local_surrogate.digest
    assert model["properties"] == ["Ex", "vxy", "kx"]
    assert model["description"]["standardization"]["units"] == ["MPa", "", "W/m/K"]


def test_arrow_and_json_agree(client: httpx.Client) -> None:
    for path, arrays, body in (
        ("/v1/encode", {"labels": IMAGES}, {"labels": IMAGES.tolist()}),
        ("/v1/predict", {"labels": IMAGES}, {"labels": IMAGES.tolist()}),
        ("/v1/decode", {"z": LATENTS}, {"z": LATENTS.tolist()}),
        (
            "/v1/sample",
            {name: np.array(value) for name, value in {**TARGET, "n": 5, "seed": 7}.items()},
            {"target": TARGET, "n": 5, "seed": 7},
        ),
    ):
        agree(client, path, arrays, body)


def agree(client: httpx.Client, path: str, arrays: dict, body: dict) -> None:
    arrow = post_arrow(client, path, pack(arrays))
    assert arrow.headers["Content-Type"] == MEDIA_TYPE
    as_json = client.post(path, json=body).json()
    answers = unpack(arrow.content)
    assert set(answers) == set(as_json) - {"properties"}
    for name, array in answers.items():
        np.testing.assert_allclose(np.array(as_json[name]), array, rtol=1e-4, atol=1e-5)
    mixed = post_arrow(client, path, pack(arrays), accept="application/json").json()
    assert set(mixed) == set(as_json)


def test_predict_gives_properties_bounds_and_scores(client: httpx.Client, local_surrogate: LocalSurrogate) -> None:
    answer = client.post("/v1/predict", json={"labels": IMAGES.tolist()}).json()
    assert answer.pop("properties") == ["Ex", "vxy", "kx"]
    expected = calibrated_prediction(local_surrogate, IMAGES)
    assert set(answer) == set(expected) == {"mean", "std", "lower", "upper", "out_of_distribution"}
    for name, values in expected.items():
        np.testing.assert_allclose(answer[name], values, rtol=1e-4, err_msg=name)


def test_decode_gives_labels_if_asked(client: httpx.Client) -> None:
    answer = client.post("/v1/decode", json={"z": LATENTS.tolist(), "labels": True}).json()
    labels, probabilities = np.array(answer["labels"]), np.array(answer["probabilities"])
    assert labels.shape == (3, 32, 32)
    assert set(np.unique(labels)) == {0, 1}
    np.testing.assert_allclose(labels.mean((1, 2)), probabilities.mean((1, 2, 3)), atol=1 / 32**2)


def test_bad_json_gets_one_sentence(client: httpx.Client) -> None:
    for path, body, status, sentence in (
        ("/v1/encode", '{"labels": [[[0, 1], [1, 0]]]}', 422, "Images of shape (1, 2, 2) do not fit the model"),
        ("/v1/encode", '{"labels": [[[0, 1], [1]]]}', 422, "The nested lists have rows of different lengths"),
        ("/v1/encode", '{"labels": [[[0, 0.5]]]}', 422, "Images of shape (1, 1, 2) do not fit the model"),
        ("/v1/encode", '{"labels": []}', 422, "Images of shape (0,) do not fit the model"),
        ("/v1/encode", '{"labels": 3}', 422, "Field 'labels' is not valid"),
        ("/v1/encode", '{"images": []}', 422, "Field 'labels' is not valid: Field required"),
        ("/v1/encode", '{"labels": [', 422, "The body is not valid: Invalid JSON"),
        ("/v1/encode", "", 422, "The body is not valid: Invalid JSON"),
        ("/v1/encode", "[" * 50_000, 422, "The body is not valid: Invalid JSON"),
        ("/v1/encode", '{"labels": ' + str([[[10**30] * 32] * 32]) + "}", 422, "labels 0 and 1"),
        ("/v1/decode", '{"z": [[0, 0, NaN, 0]]}', 422, "expected finite numbers (n, 4)"),
        ("/v1/decode", '{"z": [[0, 0, 1e300, 0]]}', 422, "Latents as large as 1e+300 overflow the decoder"),
        ("/v1/decode", '{"z": [[0, 0]]}', 422, "Latents of shape (1, 2) do not fit"),
        ("/v1/decode", '{"z": ' + str([[0] * 4] * 301) + "}", 413, "301 entries are too many; send at most 300"),
        ("/v1/decode", '{"z": [' + " " * 2**20 + "]}", 413, "The body is longer than 1048576 bytes"),
        ("/v1/sample", '{"target": {"Ex": 1}}', 422, "The target names Ex; expected Ex, vxy, kx."),
        ("/v1/sample", '{"target": {"Ex": 1}, "n": 0}', 422, "Field 'n' is not valid: Input should be greater"),
        ("/v1/sample", '{"target": {"Ex": 1}, "n": 10001}', 422, "less than or equal to 10000"),
        ("/v1/sample", '{"target": {"Ex": 1}, "seed": -1}', 422, "Field 'seed' is not valid"),
        ("/v1/sample", '{"target": {"Ex": "soft"}}', 422, "Field 'target.Ex' is not valid"),
        ("/v1/nothing", "{}", 404, "There is no POST /v1/nothing here"),
        ("/v1/model", "{}", 405, "There is no POST /v1/model here"),
    ):
        response = client.post(path, content=body, headers={"Content-Type": "application/json"})
        assert response.status_code == status, sentence
        assert list(response.json()) == ["detail"]
        assert sentence in response.json()["detail"]
        assert "\n" not in response.json()["detail"]


def test_bad_arrow_gets_one_sentence(client: httpx.Client) -> None:
    for path, body, sentence in (
        ("/v1/encode", b"", "The body is no readable Arrow stream"),
        ("/v1/encode", b"rubbish" * 99, "The body is no readable Arrow stream"),
        ("/v1/encode", pack({"labels": IMAGES})[:-100], "The body is no readable Arrow stream"),
        ("/v1/encode", pack({"images": IMAGES}), "The Arrow stream holds images; expected labels."),
        ("/v1/encode", pack({"labels": IMAGES[0]}), "do not fit the model"),
        ("/v1/encode", pack({"labels": np.array(1)}), "The array is a single number"),
        ("/v1/encode", pack({"labels": IMAGES * 1.0}), "labels 0 and 1"),
        ("/v1/decode", pack({"z": LATENTS * np.nan}), "expected finite numbers"),
        ("/v1/sample", pack({"Ex": np.ones(2)}), "Column 'Ex' has the shape (2,); expected a single number."),
        ("/v1/sample", pack({"Ex": np.array(1.0)}), "The target names Ex"),
    ):
        response = post_arrow(client, path, body)
        assert response.status_code == 422, sentence
        assert sentence in response.json()["detail"]


def test_other_content_types(client: httpx.Client) -> None:
    response = client.post("/v1/encode", data={"labels": "0"})
    assert response.status_code == 415
    assert "'application/x-www-form-urlencoded' is not supported" in response.json()["detail"]


def test_draw_gives_what_the_model_draws_in_process(client: httpx.Client, local_surrogate: LocalSurrogate) -> None:
    like = local_surrogate.draw(DrawRequest(n=2, seed=3), IMAGES)
    answer = client.post("/v1/draw", json={"like": IMAGES.tolist(), "n": 2, "seed": 3})
    assert answer.status_code == 200, answer.text
    assert (np.array(answer.json()["labels"]) != like).mean() < 0.01
    target = local_surrogate.draw(DrawRequest(TARGET, n=3, component=1))
    body = {"n": np.array(3), "component": np.array(1)} | {f"target.{k}": np.array(v) for k, v in TARGET.items()}
    found = unpack(post_arrow(client, "/v1/draw", pack(body)).content)["labels"]
    assert (found != target).mean() < 0.01
    for wrong, status, message in (
        ({}, 422, "neither images nor a target"),
        (
            {"like": IMAGES.tolist(), "size": 48},
            422,
            "size 48 cannot be drawn by the decoder random_field",
        ),
        ({"target": {"Ex": 1.0}}, 422, "The target names Ex; expected Ex, vxy, kx."),
        ({"like": IMAGES.tolist(), "dims": 3}, 422, "dims = 3: the model draws images by the decoder random_field"),
        ({"like": IMAGES.tolist(), "dims": 4}, 422, "Field 'dims' is not valid"),
        ({"target": TARGET, "n": 0}, 422, "Field 'n' is not valid"),
        ({"target": TARGET, "n": 9999}, 413, "9999 realisations are too many"),
        ({"target": TARGET, "like": IMAGES.tolist()}, 422, "both images and a target"),
        ({"target": TARGET, "component": 99}, 422, "component 99 is none of the model's"),
    ):
        answer = client.post("/v1/draw", json=wrong)
        assert answer.status_code == status, (wrong, answer.text)
        assert message in answer.json()["detail"]
