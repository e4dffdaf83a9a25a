"""Bodies of requests and answers: JSON for people, Arrow for campaigns."""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from fastapi import HTTPException, Request, Response
from pydantic import BaseModel, ValidationError

from microdesign.core.errors import InputError
from microdesign.serving.schemas import RealisationRequest, SampleRequest
from microdesign.surrogate.arrow_wire import DIGEST_HEADER, MEDIA_TYPE, pack, unpack
from microdesign.surrogate.protocol import DrawRequest

BodyT = TypeVar("BodyT", bound=BaseModel)
JSON = "application/json"


@dataclass(frozen=True)
class Limits:
    """What a request may take.

    Attributes:
        images: Most images or latents.
        arrow_bytes: Longest body as Arrow.
        json_bytes: Longest body as JSON, whose reading stops every other request of the replica meanwhile.
        seconds: How long a body may take to arrive.
        bodies: Bodies of the longest kind that a replica holds at once.
    """

    images: int
    arrow_bytes: int
    json_bytes: int
    seconds: float
    bodies: int = 8


class Bodies:
    """Reads bodies, each within its limit and its time, and all together within memory."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._held = 0

    async def read(self, request: Request) -> bytes:
        """Reads a body.

        Raises:
            HTTPException: It is too long (413), of another kind (415), does not arrive in time (408), or too many are
                being read (503).
        """
        limit = self.limits.arrow_bytes if is_arrow(request) else self.limits.json_bytes
        stated = request.headers.get("content-length", "")
        too_long = HTTPException(413, f"The body is longer than {limit} bytes; send several requests, or Arrow.")
        if stated.isascii() and stated.isdecimal() and (len(stated) > 15 or int(stated) > limit):
            raise too_long
        body = bytearray()
        try:
            async with asyncio.timeout(self.limits.seconds):
                async for chunk in request.stream():
                    body += chunk
                    self._held += len(chunk)
                    if len(body) > limit:
                        raise too_long
                    if self._held > self.limits.bodies * self.limits.arrow_bytes:
                        raise HTTPException(503, "Too many bodies are being read; try again.", {"Retry-After": "1"})
        except TimeoutError:
            raise HTTPException(408, f"The body did not arrive within {self.limits.seconds:g} s.") from None
        finally:
            self._held -= len(body)
        return bytes(body)


def is_arrow(request: Request) -> bool:
    """Whether the request's body is Arrow; anything but Arrow and JSON is refused (415)."""
    kind = request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
    if kind not in (JSON, MEDIA_TYPE):
        raise HTTPException(415, f"The content type '{kind}' is not supported; expected {JSON} or {MEDIA_TYPE}.")
    return kind == MEDIA_TYPE


def from_json(body: bytes, model: type[BodyT]) -> BodyT:
    """Reads a JSON body.

    Raises:
        InputError: It is no JSON object of `model`.
    """
    with _refusing():
        return model.model_validate_json(body)


def from_columns(body: bytes) -> SampleRequest:
    """Reads a sample request as Arrow: a single number in each column, `n`, `seed` and the target's properties.

    Raises:
        InputError: It is no such stream.
    """
    arrays = unpack(body)
    for name, array in arrays.items():
        if array.ndim:
            raise InputError(f"Column '{name}' has the shape {array.shape}; expected a single number.")
    target: dict[str, Any] = {name: array.item() for name, array in arrays.items()}
    counts = {name: target.pop(name) for name in ("n", "seed") if name in target}
    with _refusing():
        return SampleRequest.model_validate(counts | {"target": target})


def realisation_request(body: bytes, arrow: bool) -> tuple[DrawRequest, np.ndarray | None]:
    """Reads what to draw, and the images to draw like; a target as Arrow is a column `target.NAME` each.

    Raises:
        InputError: It is no such body.
    """
    if arrow:
        arrays = unpack(body)
        like = arrays.pop("like", None)
        for name, array in arrays.items():
            if array.ndim > (name == "size"):
                raise InputError(f"Column '{name}' has the shape {array.shape}; expected a single number.")
        values: dict[str, Any] = {name: array.tolist() for name, array in arrays.items()}
        names = [name for name in values if name.startswith("target.")]
        target = {name.removeprefix("target."): values.pop(name) for name in names}
        with _refusing():
            given = RealisationRequest.model_validate(values | ({"target": target} if target else {}))
    else:
        given = from_json(body, RealisationRequest)
        like = None if given.like is None else from_nested(given.like)
    return DrawRequest(given.target, given.n, given.seed, given.size, given.component, given.dims, given.per_axis), like


def from_nested(nested: list) -> np.ndarray:
    """Makes an array of nested lists.

    Raises:
        InputError: Their lengths differ.
    """
    try:
        return np.array(nested)
    except ValueError:
        raise InputError("The nested lists have rows of different lengths; expected a full array.") from None


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        raise InputError(sentence(error.errors(include_url=False, include_context=False))) from None


def from_arrow(body: bytes, *names: str) -> list[np.ndarray]:
    """Reads an Arrow body that holds exactly the arrays `names`.

    Raises:
        InputError: It is no such stream.
    """
    arrays = unpack(body)
    if set(arrays) != set(names):
        raise InputError(f"The Arrow stream holds {', '.join(arrays) or 'nothing'}; expected {', '.join(names)}.")
    return [arrays[name] for name in names]


def sentence(problems: Sequence[Mapping[str, Any]]) -> str:
    """The first of pydantic's problems as one sentence."""
    problem = problems[0]
    field = ".".join(str(part) for part in problem["loc"])
    message = problem["msg"].removeprefix("Value error, ").removesuffix(".")
    more = f" (and {len(problems) - 1} more like it)" if len(problems) > 1 else ""
    return f"Field '{field}' is not valid: {message}{more}." if field else f"The body is not valid: {message}."


async def answer(
    request: Request, arrays: Mapping[str, np.ndarray], digest: str, extra: Mapping[str, Any] | None = None
) -> Response:
    """Gives `arrays` as Arrow where the request accepts it, else as JSON with `extra` beside them.

    The digest of the model that they are of goes with them as the header `DIGEST_HEADER`.
    """
    headers = {DIGEST_HEADER: digest}
    if MEDIA_TYPE in request.headers.get("accept", ""):
        return Response(pack(arrays), media_type=MEDIA_TYPE, headers=headers)
    # Writing a large JSON takes seconds; on the event loop it would hold up every other request.
    return Response(await asyncio.to_thread(_to_json, arrays, extra or {}), media_type=JSON, headers=headers)


def _to_json(arrays: Mapping[str, np.ndarray], extra: Mapping[str, Any]) -> bytes:
    return json.dumps({**extra, **{name: array.tolist() for name, array in arrays.items()}}).encode()


def described(request: type[BaseModel]) -> dict[str, Any]:
    """The OpenAPI entry of a body that is JSON or Arrow."""
    content = {JSON: {"schema": request.model_json_schema()}, MEDIA_TYPE: {}}
    return {"requestBody": {"required": True, "content": content}}
