"""A surrogate behind the HTTP endpoints of `serving/`: the same arrays as in process, to rounding."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from microdesign.core.errors import InputError
from microdesign.core.progress import Progress, silent
from microdesign.model.networks.config import described_shape
from microdesign.surrogate.arrow_wire import DIGEST_HEADER, MEDIA_TYPE, pack, unpack
from microdesign.surrogate.endpoint import PATIENCE, EndpointClient
from microdesign.surrogate.protocol import DrawRequest, Draws, Prior

CHUNK = 256
"""Images or latents a request, at most."""
PIXELS = 2**20
"""Pixels a request: a few megabytes each way."""


class RemoteSurrogate:
    """A `Surrogate` at a Serve endpoint.

    Args:
        url: Address of the application, such as `http://127.0.0.1:8000`.
        token: Bearer token, if the application asks for one.
        timeout: Seconds to wait for one answer.
        patience: Seconds to wait for an endpoint that stops answering, as during a restart. Raise it where a restart
            takes longer, such as that of a large model on a busy cluster.
        progress: Reports when such a wait begins and ends.

    Raises:
        InputError: The address does not answer at first, or the endpoint refuses what it was given, answers what no
            model would, or serves another model than at first; the latter three also from every method.
        MicrodesignError: The endpoint failed, or has not answered for `patience` seconds; also from every method.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        timeout: float = 60.0,
        patience: float = PATIENCE,
        progress: Progress = silent,
    ) -> None:
        self._endpoint = EndpointClient(url, token, timeout, patience, progress)
        self._model = self._served()
        try:
            network = self.describe()["model"]["network"]
            self._chunk = max(1, min(CHUNK, PIXELS // math.prod(described_shape(network))))
        except (KeyError, TypeError, ValueError, ArithmeticError):
            raise InputError(
                f"The server at {self.url} describes a model without a network; expected a microdesign endpoint."
            ) from None

    @property
    def url(self) -> str:
        """Address of the application."""
        return self._endpoint.url

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

    def draw(self, request: DrawRequest, like: np.ndarray | None = None, progress: Progress = silent) -> np.ndarray:
        """See `Surrogate.draw`; one request, so that there is nothing to count."""
        request.check(images=like is not None)
        progress(f"waiting for {self.url} to draw {request.n * (1 if like is None else len(like))} images")
        given = {"n": request.n, "seed": request.seed, "size": request.size, "component": request.component}
        given |= {"dims": request.dims, "per_axis": request.per_axis or None}
        arrays = {name: np.array(value) for name, value in given.items() if value is not None}
        arrays |= {f"target.{name}": np.array(float(value)) for name, value in (request.target or {}).items()}
        if like is not None:
            arrays["like"] = np.asarray(like)
        return self._exchange("/v1/draw", arrays, ("labels",))["labels"].astype(np.uint8)

    def close(self) -> None:
        """Closes the connections."""
        self._endpoint.close()

    def _served(self) -> Mapping[str, Any]:
        """The endpoint's description of its model."""
        answer = self._endpoint.send("GET", "/v1/model")
        try:
            model = answer.json()
        except ValueError:
            raise InputError(f"The server at {self.url} answers in no JSON; expected a microdesign endpoint.") from None
        if not isinstance(model, dict) or not {"properties", "digest", "description"} <= set(model):
            raise InputError(f"The server at {self.url} describes no model; expected a microdesign endpoint.")
        return model

    def _check_model(self, served: str | None) -> None:
        """Refuses to mix the answers of two models: an endpoint may be deployed anew while a campaign runs."""
        if served is None:
            raise InputError(
                f"The server at {self.url} does not say of which model its answer is; expected a microdesign endpoint."
            )
        if served != self.digest:
            raise InputError(
                f"The Serve endpoint at {self.url} now serves the model {served[:12]}, at first it was "
                f"{self.digest[:12]}; deploy that again, or start another campaign with this one."
            )

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
        headers = {"Content-Type": MEDIA_TYPE, "Accept": MEDIA_TYPE}
        response = self._endpoint.send("POST", path, content=pack(arrays), headers=headers)
        self._check_model(response.headers.get(DIGEST_HEADER))
        answer = unpack(response.content)
        for key in gives:
            if key not in answer or not np.isfinite(answer[key]).all():
                what = "no" if key not in answer else "values that are not finite for"
                raise InputError(f"The Serve endpoint at {self.url} answered {path} with {what} '{key}'.")
        return answer
