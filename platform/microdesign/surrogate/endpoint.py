"""Requests to the HTTP endpoints of `serving/`, which wait for an endpoint that is restarted.

Every request is a pure function of its body, so that it can be sent again. An address that never answered is bad input;
an endpoint that has answered before is waited for, since it may be restarted or deployed anew.
"""

import random
import time
from dataclasses import dataclass
from typing import Any

import httpx

from microdesign.core.errors import InputError, MicrodesignError
from microdesign.core.progress import Progress, silent

PATIENCE = 120.0
"""Seconds to wait for an endpoint that has stopped answering."""
ATTEMPTS = 4
"""Requests to an address that has never answered."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 5.0  # seconds; a pause is twice the one before
_LONGEST_RETRY_AFTER = 60.0
_PASSING_STATUS = (408, 429, 502, 503, 504)


@dataclass(frozen=True)
class _Failure:
    """Why there is no answer yet, and how many seconds the server asks to be left alone."""

    reason: str
    after: float = 0.0

    def __str__(self) -> str:
        return self.reason


class EndpointClient:
    """Sends requests to one Serve application.

    Args:
        url: Its address, such as `http://127.0.0.1:8000`.
        token: Bearer token, if the application asks for one.
        timeout: Seconds to wait for one answer.
        patience: Seconds to wait for an application that has answered before and does not any more.
        progress: Reports when such a wait begins and ends.

    Raises:
        InputError: The token has characters that no header can carry.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        timeout: float = 60.0,
        patience: float = PATIENCE,
        progress: Progress = silent,
    ) -> None:
        if token is not None and not (token.isascii() and token.isprintable() and token == token.strip() != ""):
            raise InputError("The token has characters that no header can carry; expected printable ASCII.")
        self.url = url.rstrip("/")
        self._timeout, self._patience, self._progress, self._reached = timeout, patience, progress, False
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {token}"} if token else {}, timeout=httpx.Timeout(timeout, connect=5.0)
        )

    def send(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Returns the answer to one request; a failure that may pass is followed by the same request.

        Raises:
            InputError: The address is none, it has never answered, or the application refuses the request.
            MicrodesignError: The application failed, or has not answered for `patience` seconds.
        """
        begun, pause, failures = time.monotonic(), _FIRST_PAUSE, 0
        while isinstance(answer := self._attempt(method, path, request), _Failure):
            failures += 1
            waited = time.monotonic() - begun
            if not self._reached and failures == ATTEMPTS:
                raise InputError(
                    f"The Serve endpoint at {self.url} does not answer ({answer}); start it or correct the address."
                )
            if self._reached and waited >= self._patience:
                raise MicrodesignError(
                    f"The Serve endpoint at {self.url} has not answered for {waited:.0f} s ({answer}); start it again: "
                    "the same command then goes on where it stopped."
                )
            if self._reached and failures == 2:
                self._progress(
                    f"the Serve endpoint at {self.url} does not answer ({answer}); waiting for it up to "
                    f"{self._patience:g} s"
                )
            # Of many clients of one endpoint, not all shall come back at once.
            time.sleep(max(answer.after, pause * random.uniform(0.5, 1.0)))
            pause = min(2 * pause, _LONGEST_PAUSE)
        if self._reached and failures > 1:
            self._progress(f"the Serve endpoint at {self.url} answers again after {time.monotonic() - begun:.0f} s")
        self._reached = True
        return answer

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def _attempt(self, method: str, path: str, request: dict[str, Any]) -> "httpx.Response | _Failure":
        """The answer, or why there is none yet."""
        try:
            response = self._client.request(method, self.url + path, **request)
        except httpx.ReadTimeout:
            if not self._reached:
                raise InputError(
                    f"The Serve endpoint at {self.url} does not answer {path} within {self._timeout:g} s; give it more "
                    "replicas or raise the timeout."
                ) from None
            return _Failure(f"no answer to {path} within {self._timeout:g} s; it may need more replicas")
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise InputError(f"'{self.url}' is no address of a Serve endpoint; expected http://HOST:PORT.") from None
        except (httpx.TransportError, httpx.DecodingError) as error:
            return _Failure(str(error) or type(error).__name__)
        if response.is_success:
            return response
        # While an application is deployed anew its proxy answers 404, and 500 if it has lost a replica.
        restarting = self._reached and (response.status_code >= 500 or response.status_code == 404)
        if response.status_code in _PASSING_STATUS or restarting:
            after = response.headers.get("Retry-After", "")
            seconds = float(after) if after.isascii() and after.isdecimal() and len(after) < 6 else 0.0
            return _Failure(f"status {response.status_code}", min(seconds, _LONGEST_RETRY_AFTER))
        raise (InputError if response.is_client_error else MicrodesignError)(self._refusal(response))

    def _refusal(self, response: httpx.Response) -> str:
        try:
            return str(response.json()["detail"])
        except (ValueError, KeyError, TypeError):
            return f"The server at {self.url} answered {response.status_code}; expected a microdesign endpoint."
