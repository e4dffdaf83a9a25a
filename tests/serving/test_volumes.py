"""The endpoints of a model of volumes of three phases: the same answers as in process, in JSON and in Arrow."""

import httpx
import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.model.bundle import load_bundle
from microdesign.surrogate.intervals import calibrated_prediction
from microdesign.surrogate.local import LocalSurrogate
from microdesign.surrogate.protocol import decode_labels
from microdesign.surrogate.remote import RemoteSurrogate

pytestmark = pytest.mark.ray
TARGET = {"Ex": 20.0, "vxy": 0.3, "kx": 1.5}
VOLUMES = np.random.default_rng(0).integers(0, 3, (3, 8, 8, 8), np.uint8)


@pytest.fixture(scope="module")
def local(volume_bundle: str) -> LocalSurrogate:
    return LocalSurrogate(load_bundle(volume_bundle))


def test_json(endpoint: str, token: str, local: LocalSurrogate) -> None:
    with httpx.Client(headers={"Authorization": f"Bearer {token}"}, timeout=60) as client:

        def ask(route: str, body: dict) -> dict:
            response = client.post(f"{endpoint}/volumes/v1/{route}", json=body)
            assert response.status_code == 200, response.text
            return response.json()

        drawn = ask("sample", {"target": TARGET, "n": 4, "seed": 7})
        np.testing.assert_allclose(drawn["z"], local.sample(TARGET, 4, 7).z, rtol=1e-6)
        decoded = ask("decode", {"z": drawn["z"], "labels": True})
        probabilities = np.array(decoded["probabilities"])
        assert probabilities.shape == (4, 3, 8, 8, 8)
        np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
        np.testing.assert_array_equal(decoded["labels"], decode_labels(local, np.array(drawn["z"])))
        posterior = ask("encode", {"labels": VOLUMES.tolist()})
        np.testing.assert_allclose(posterior["mean"], local.encode(VOLUMES)[0], rtol=1e-4, atol=1e-5)
        predicted = ask("predict", {"labels": VOLUMES.tolist()})
        expected = calibrated_prediction(local, VOLUMES)
        assert set(predicted) == {"properties", *expected}
        for name, values in expected.items():
            np.testing.assert_allclose(predicted[name], values, rtol=1e-4)
        refused = client.post(f"{endpoint}/volumes/v1/encode", json={"labels": (VOLUMES + 1).tolist()})
        assert refused.status_code == 422
        assert "phase labels 0 to 2, which the model expects" in refused.json()["detail"]


def test_arrow(endpoint: str, token: str, local: LocalSurrogate) -> None:
    remote = RemoteSurrogate(f"{endpoint}/volumes", token)
    z = remote.sample(TARGET, 20, 3).z
    np.testing.assert_allclose(remote.decode(z), local.decode(z), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(remote.predict(VOLUMES)[0], local.predict(VOLUMES)[0], rtol=1e-4)
    with pytest.raises(InputError, match=r"expected \(n, 8, 8, 8\)"):
        remote.encode(VOLUMES[:, 0])
    remote.close()
