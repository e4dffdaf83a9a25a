"""A surrogate behind the HTTP endpoints of `serving/`: the same arrays as in process, to rounding."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import numpy as np

from microdesign.core.errors import InputError, MicrodesignError
from microdesign.surrogate.arrow_wire import MEDIA_TYPE, pack, unpack
from microdesign.surrogate.protocol import Draws, Prior

CHUNK = 256
"""Images or latents a request, at most."""
PIXELS = 2**20
"""Pixels a request: a few megabytes each way."""
ATTEMPTS = 4
_FIRST_PAUSE = 0.25  # seconds; doubles with each attempt
_PASSING_STATUS = (502, 503, 504)
_TRUSTED = 5.0  # seconds for which the endpoint is taken to serve the model that it served


class RemoteSurrogate:
    """A `Surrogate` at a Serve endpoint.

    Args:
        url: Address of the application, such as `http://127.0.0.1:8000`.
        token: Bearer token, where the application asks for one.
        timeout: Seconds to wait for one answer.

    Raises:
        InputError: The endpoint does not answer, refuses what it was given, answers what no model would, or serves
            another model than at first; also from every method.
        MicrodesignError: The endpoint failed; also from every method.
    """

    def __init__(self, url: str, token: str | None = None, timeout: float = 60.0) -> None:
        if token is not None and not (token.isascii() and token.isprintable() and token == token.strip() != ""):
            raise InputError("The token has characters that no header can carry; expected printable ASCII.")
        self.url = url.rstrip("/")
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {token}"} if token else {}, timeout=httpx.Timeout(timeout, connect=5.0)
        )
        self._model = self._served()
        self._asked = time.monotonic()
        try:
            network = self.describe()["model"]["network"]
            self._chunk = max(1, min(CHUNK, PIXELS // network["size"] ** network["dimensions"]))
        except (KeyError, TypeError, ArithmeticError):
            raise InputError(
                f"The server at {self.url} describes a model without a network; expected a microdesign endpoint."
            ) from None

    @property
    def properties(self) -> tuple[str, ...]:
        """Names of the properties, in the order of every property axis."""
        return tuple(self._model["properties"])

    @property
    def digest(self) -> str:
        """Identifies the model in records."""
        return self._model["digest"]

    def describe(self) -> Mapping[str, Any]:
        """The content of the bundle's `model.json`."""
        return self._model["description"]

    def encode(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Surrogate.encode`."""
        answer = self._compute("/v1/encode", "labels", labels, ("mean", "std"))
        return answer["mean"], answer["std"]

    def decode(self, z: np.ndarray) -> np.ndarray:
        """See `Surrogate.decode`."""
        return self._compute("/v1/decode", "z", z, ("probabilities",))["probabilities"]

    def predict(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Surrogate.predict`."""
        answer = self._compute("/v1/predict", "labels", labels, ("mean", "std"))
        return answer["mean"], answer["std"]

    def jacobian(self, z: np.ndarray) -> None:
        """See `Surrogate.jacobian`: an endpoint has none."""
        return None

    def prior(self, target: Mapping[str, float]) -> Prior:
        """See `Surrogate.prior`."""
        request = {name: np.array(float(value)) for name, value in target.items()}
        request |= {"n": np.array(1), "seed": np.array(0)}
        answer = self._exchange("/v1/sample", request, ("weights", "mean", "std"))
        return Prior(answer["weights"], answer["mean"], answer["std"])

    def sample(self, target: Mapping[str, float], n: int, seed: int) -> Draws:
        """See `Surrogate.sample`. The draws are made here, from the endpoint's prior: any number of them."""
        return self.prior(target).sample(n, seed)

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def _served(self) -> Mapping[str, Any]:
        """What the endpoint says of its model."""
        answer = self._send("GET", "/v1/model")
        try:
            model = answer.json()
        except ValueError:
            raise InputError(f"The server at {self.url} answers in no JSON; expected a microdesign endpoint.") from None
        if not isinstance(model, dict) or not {"properties", "digest", "description"} <= set(model):
            raise InputError(f"The server at {self.url} describes no model; expected a microdesign endpoint.")
        return model

    def _check_model(self) -> None:
        """Refuses to mix the answers of two models: an endpoint may be deployed anew while a campaign runs."""
        if time.monotonic() - self._asked < _TRUSTED:
            return
        served = self._served()["digest"]
        if served != self.digest:
            raise InputError(
                f"The Serve endpoint at {self.url} now serves the model {served[:12]}, at first it was "
                f"{self.digest[:12]}; deploy that again, or start another campaign with this one."
            )
        self._asked = time.monotonic()

    def _compute(self, path: str, name: str, array: np.ndarray, gives: Sequence[str]) -> dict[str, np.ndarray]:
        """Sends `array` in chunks along its first axis and puts the answers end to end."""
        array = np.asarray(array)
        if array.ndim == 0 or array.dtype.kind not in "biuf":
            raise InputError(
                f"'{name}' is of shape {array.shape} and type {array.dtype}; expected an array of numbers."
            )
        starts = range(0, max(len(array), 1), self._chunk)
        answers = [self._exchange(path, {name: array[start : start + self._chunk]}, gives) for start in starts]
        joined = {key: np.concatenate([answer[key] for answer in answers]) for key in gives}
        for key, values in joined.items():
            if len(values) != len(array):
                raise InputError(
                    f"The Serve endpoint at {self.url} answered {path} with {len(values)} of '{key}' for {len(array)} "
                    "entries; expected one each."
                )
        return joined

    def _exchange(self, path: str, arrays: Mapping[str, np.ndarray], gives: Sequence[str]) -> dict[str, np.ndarray]:
        self._check_model()
        headers = {"Content-Type": MEDIA_TYPE, "Accept": MEDIA_TYPE}
        answer = unpack(self._send("POST", path, content=pack(arrays), headers=headers).content)
        for key in gives:
            if key not in answer or not np.isfinite(answer[key]).all():
                what = "no" if key not in answer else "values that are not finite for"
                raise InputError(f"The Serve endpoint at {self.url} answered {path} with {what} '{key}'.")
        return answer

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(_FIRST_PAUSE * 2 ** (attempt - 1))
            try:
                response = self._client.request(method, self.url + path, **request)
            except httpx.ReadTimeout:
                raise InputError(
                    f"The Serve endpoint at {self.url} does not answer {path} within {self._client.timeout.read:g} s; "
                    "give it more replicas or raise the timeout."
                ) from None
            except (httpx.InvalidURL, httpx.UnsupportedProtocol):
                raise InputError(
                    f"'{self.url}' is no address of a Serve endpoint; expected http://HOST:PORT."
                ) from None
            except (httpx.TransportError, httpx.DecodingError) as error:
                reason = str(error) or type(error).__name__
                continue
            # Every request is a pure function of its body, so that asking again is harmless.
            if response.status_code in _PASSING_STATUS:
                reason = f"status {response.status_code}"
                continue
            return self._checked(response)
        raise InputError(
            f"The Serve endpoint at {self.url} does not answer ({reason}); start it or correct the address."
        )

    def _checked(self, response: httpx.Response) -> httpx.Response:
        if response.is_success:
            return response
        try:
            sentence = response.json()["detail"]
        except (ValueError, KeyError, TypeError):
            sentence = f"The server at {self.url} answered {response.status_code}; expected a microdesign endpoint."
        raise (InputError if response.is_client_error else MicrodesignError)(sentence)
