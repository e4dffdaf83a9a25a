"""The HTTP ingress: checks requests, spreads arrays over the deployments, answers in JSON or Arrow.

Serve pickles the application where `serve.ingress` decorates the class: what its methods call must be defined above it.
"""

import asyncio
import hmac
import ipaddress
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any, TypeVar

import numpy as np
import torch
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from ray import serve
from ray.exceptions import RayActorError, RayError
from ray.serve.handle import DeploymentHandle
from starlette.exceptions import HTTPException as StarletteHTTPException

from microdesign.core.errors import InputError
from microdesign.model.binarization import binarize
from microdesign.serving import schemas
from microdesign.serving.bodies import (
    Bodies,
    Limits,
    answer,
    described,
    from_arrow,
    from_columns,
    from_json,
    from_nested,
    is_arrow,
    realisation_request,
    sentence,
)
from microdesign.serving.deployments import Computed
from microdesign.surrogate.arrow_wire import MEDIA_TYPE, TOKEN_VARIABLE

EndpointT = TypeVar("EndpointT", bound=Callable[..., Any])
REPEATS = 40
"""How often pieces are asked for until all are of one model."""
PATIENCE = 30.0
"""Seconds for which other replicas are asked in place of dead ones."""
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.5
HEALTHY_WITHIN = 10
"""Seconds within which a healthy application answers."""

app = FastAPI(
    title="microdesign",
    summary="A trained model of microstructures and their effective properties.",
    description=f"Every `/v1` endpoint speaks JSON and, by `Content-Type` and `Accept`, Arrow (`{MEDIA_TYPE}`).",
    # FastAPI's own pages ask for no token; those below do.
    docs_url=None,
    redoc_url=None,
    openapi_url=None,
)


def is_local(host: str) -> bool:
    """Whether a client's address is of this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def authorize(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))],
) -> None:
    """Refuses (401) a request without the application's token; where it has none, one from another machine (403)."""
    ingress: Any = serve.get_replica_context().servable_object
    token = ingress.token
    given = credentials.credentials if credentials else ""
    if not token and not is_local(request.client.host if request.client else ""):
        raise HTTPException(403, f"Without a token only requests from this machine are answered; set {TOKEN_VARIABLE}.")
    if token and not hmac.compare_digest(given.encode(), token.encode()):
        raise HTTPException(
            401, "A valid token is needed; send 'Authorization: Bearer TOKEN'.", {"WWW-Authenticate": "Bearer"}
        )


@app.get("/openapi.json", include_in_schema=False, dependencies=[Depends(authorize)])
async def schema() -> dict[str, Any]:
    """What the endpoints take and give, as OpenAPI."""
    return app.openapi()


@app.get("/docs", include_in_schema=False, dependencies=[Depends(authorize)])
async def docs(request: Request) -> Response:
    """The page of the endpoints."""
    return get_swagger_ui_html(openapi_url=f"{request.scope.get('root_path', '')}/openapi.json", title=app.title)


@app.exception_handler(InputError)
async def refuse(request: Request, error: InputError) -> JSONResponse:
    """Bad input: status 422 and its sentence."""
    return JSONResponse({"detail": str(error)}, 422)


@app.exception_handler(RequestValidationError)
async def refuse_parameters(request: Request, error: RequestValidationError) -> JSONResponse:
    """What FastAPI itself refuses: status 422 and one sentence instead of a list."""
    return JSONResponse({"detail": sentence(error.errors())}, 422)


@app.exception_handler(StarletteHTTPException)
async def refuse_request(request: Request, error: StarletteHTTPException) -> JSONResponse:
    """Every other refusal; an unknown path gets a sentence too."""
    detail = error.detail
    if error.status_code in (404, 405):
        detail = f"There is no {request.method} {request.url.path[:100]} here; /docs lists what there is."
    return JSONResponse({"detail": detail}, error.status_code, error.headers)


def _binarized(probabilities: np.ndarray) -> list[Any]:
    labels: list[Any] = binarize(torch.tensor(probabilities)).tolist()
    return labels


async def ask(method: Any, *arguments: Any) -> Any:
    """Calls a replica; where it dies, another: the answer is a pure function of the arguments.

    Serve may choose a dead replica several times before it knows, hence the pauses.

    Raises:
        InputError: The replica refuses the arguments.
        HTTPException: No replica has lived for long enough (503).
    """
    begun, pause = time.monotonic(), FIRST_PAUSE
    while True:
        try:
            found = await method.remote(*arguments)
        except RayActorError:
            if time.monotonic() - begun + pause > PATIENCE:
                raise HTTPException(503, "The replicas die; try again.", {"Retry-After": "1"}) from None
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            continue
        if isinstance(found, InputError):
            raise found
        return found


async def of_one_model(method: Any, pieces: Sequence[np.ndarray]) -> Computed:
    """Asks for each piece and puts the answers end to end, all of one model.

    While an application is deployed anew, replicas of two models answer; pieces of the rarer one are asked for again.

    Raises:
        InputError: A piece is refused.
        HTTPException: The models do not settle (503).
    """
    found = list(await asyncio.gather(*(ask(method, piece) for piece in pieces)))
    for repeat in range(REPEATS):
        if len(counts := Counter(each.digest for each in found)) == 1:
            names = found[0].arrays
            arrays = {name: np.concatenate([each.arrays[name] for each in found]) for name in names}
            return Computed(found[0].digest, found[0].properties, arrays)
        # At times all are asked for: the model of the most may be the one that no replica has any more.
        kept = counts.most_common(1)[0][0] if repeat % 8 != 7 else ""
        again = [place for place, each in enumerate(found) if each.digest != kept]
        for place, each in zip(again, await asyncio.gather(*(ask(method, pieces[i]) for i in again)), strict=True):
            found[place] = each
    raise HTTPException(503, "The application is being deployed anew; try again.", {"Retry-After": "1"})


def endpoint(path: str, takes: type[schemas.Request], gives: type) -> Callable[[EndpointT], EndpointT]:
    """Declares a POST endpoint whose body and answer are JSON or Arrow."""
    statuses = (401, 403, 408, 413, 415, 422, 503)
    return app.post(
        path,
        response_model=gives,
        responses={200: {"content": {MEDIA_TYPE: {}}}, **{status: {"model": schemas.Problem} for status in statuses}},
        openapi_extra=described(takes),
        dependencies=[Depends(authorize)],
    )


@serve.deployment
@serve.ingress(app)
class Ingress:
    """The endpoints.

    Args:
        encoder: Handle of `Encoder`.
        decoder: Handle of `Decoder`.
        predictor: Handle of `PropertyPredictor`.
        token: Bearer token that requests must carry; with None only requests from this machine are answered.
        piece: Images or latents that go to one replica at once.
        limits: What a request may take.
    """

    def __init__(
        self,
        encoder: DeploymentHandle,
        decoder: DeploymentHandle,
        predictor: DeploymentHandle,
        token: str | None,
        piece: int,
        limits: Limits,
    ) -> None:
        torch.set_num_threads(1)
        self.encoder, self.decoder, self.predictor = encoder, decoder, predictor
        self.token, self.piece, self.most_images = token, piece, limits.images
        self.bodies = Bodies(limits)

    @app.get("/healthz")
    async def healthz(self) -> dict[str, str]:
        """Answers `ok` while the model answers; needs no token."""
        try:
            await asyncio.wait_for(self.decoder.model.remote(), HEALTHY_WITHIN)
        except (TimeoutError, RayError):
            raise HTTPException(503, f"The decoder does not answer within {HEALTHY_WITHIN} s.") from None
        return {"status": "ok"}

    @app.get("/v1/model", dependencies=[Depends(authorize)])
    async def model(self) -> schemas.Model:
        """Digest, properties and description of the model."""
        return schemas.Model(**await ask(self.decoder.model))

    @endpoint("/v1/encode", schemas.Images, schemas.Posterior)
    async def encode(self, request: Request) -> Response:
        """Mean and standard deviation of q(z|x) for images."""
        found = await self._spread(self.encoder.encode, await self._labels(request))
        return await answer(request, found.arrays, found.digest)

    @endpoint("/v1/predict", schemas.Images, schemas.Prediction)
    async def predict(self, request: Request) -> Response:
        """Properties of images in physical units, calibrated bounds, and out-of-distribution scores."""
        found = await self._spread(self.predictor.predict, await self._labels(request))
        return await answer(request, found.arrays, found.digest, {"properties": found.properties})

    @endpoint("/v1/decode", schemas.Latents, schemas.Decoded)
    async def decode(self, request: Request) -> Response:
        """Phase probabilities for latents and, in JSON and if asked for, images of hard phases."""
        body = await self.bodies.read(request)
        if is_arrow(request):
            (z,), labels = await asyncio.to_thread(from_arrow, body, "z"), False
        else:
            latents = await asyncio.to_thread(from_json, body, schemas.Latents)
            z, labels = await asyncio.to_thread(from_nested, latents.z), latents.labels
        found = await self._spread(self.decoder.decode, z)
        extra = {"labels": await asyncio.to_thread(_binarized, found.arrays["probabilities"])} if labels else {}
        return await answer(request, found.arrays, found.digest, extra)

    @endpoint("/v1/sample", schemas.SampleRequest, schemas.Sample)
    async def sample(self, request: Request) -> Response:
        """Latents from p(z|c) at target properties, and the mixture that they are from."""
        body = await self.bodies.read(request)
        parse = from_columns if is_arrow(request) else partial(from_json, model=schemas.SampleRequest)
        wanted = await asyncio.to_thread(parse, body)
        drawn = await ask(self.decoder.sample, wanted.target, wanted.n, wanted.seed)
        return await answer(request, drawn.arrays, drawn.digest)

    @endpoint("/v1/draw", schemas.RealisationRequest, schemas.Realisations)
    async def draw(self, request: Request) -> Response:
        """Realisations of the material of images, or for a target."""
        body = await self.bodies.read(request)
        wanted, like = await asyncio.to_thread(realisation_request, body, is_arrow(request))
        if (count := wanted.n * (1 if like is None else len(like))) > self.most_images:
            raise HTTPException(413, f"{count} realisations are too many; ask for at most {self.most_images}.")
        drawn = await ask(self.decoder.draw, wanted, like)
        return await answer(request, drawn.arrays, drawn.digest)

    async def _labels(self, request: Request) -> np.ndarray:
        body = await self.bodies.read(request)
        if is_arrow(request):
            return (await asyncio.to_thread(from_arrow, body, "labels"))[0]
        images = await asyncio.to_thread(from_json, body, schemas.Images)
        return await asyncio.to_thread(from_nested, images.labels)

    async def _spread(self, method: Any, array: np.ndarray) -> Computed:
        """Calls `method` on pieces of `array`, all at once, and concatenates the answers of one model."""
        if array.ndim == 0:
            raise InputError("The array is a single number; expected one entry per image or latent.")
        if len(array) > self.most_images:
            raise HTTPException(
                413, f"{len(array)} entries are too many; send at most {self.most_images} in a request."
            )
        starts = range(0, max(len(array), 1), self.piece)
        return await of_one_model(method, [array[start : start + self.piece] for start in starts])
