"""The application: `serve run microdesign.serving.app:build bundle=FOLDER`, or `serve deploy serving/serve.yaml`."""

import os
from pathlib import Path
from typing import Any

from pydantic import Field
from ray.serve import Application

from microdesign import tracking
from microdesign.core.config import Config
from microdesign.core.references import RegisteredModel, parse_model
from microdesign.model.bundle import load_bundle
from microdesign.serving.bodies import Limits
from microdesign.serving.deployments import Decoder, Encoder, PropertyPredictor, Source, cache
from microdesign.serving.ingress import Ingress
from microdesign.surrogate.arrow_wire import TOKEN_VARIABLE

MOST_OPEN = 4096
"""Requests that a replica of the ingress has open at once."""


class ServeConfig(Config):
    """The model, the token, and how much of the cluster the application takes."""

    bundle: str = Field("models:/microdesign@champion", description="a bundle folder, or a registered model")
    tracking_uri: str | None = Field(None, description="MLflow address; MLFLOW_TRACKING_URI when None")
    token: str | None = Field(
        None,
        min_length=1,
        description=f"bearer token; {TOKEN_VARIABLE} when None; without one only this machine is let in",
    )
    encoder_replicas: int = Field(1, ge=1, description="replicas of Encoder")
    decoder_replicas: int = Field(1, ge=1, description="replicas of Decoder")
    predictor_replicas: int = Field(1, ge=1, description="replicas of PropertyPredictor")
    ingress_replicas: int = Field(2, ge=1, description="replicas of the HTTP ingress; of two one may die unnoticed")
    cpus: float = Field(0.25, gt=0, description="processors per replica; torch takes as many threads, at least one")
    max_batch_size: int = Field(128, ge=1, description="images or latents that share one pass through a network")
    most_images: int = Field(1024, ge=1, description="most images or latents in a request")
    most_bytes: int = Field(64 * 2**20, ge=1, description="longest body of a request as Arrow, bytes")
    most_json_bytes: int = Field(
        4 * 2**20, ge=1, description="longest body as JSON: while one is read, all other requests of a replica wait"
    )
    body_seconds: float = Field(20.0, gt=0, description="seconds that a body may take to arrive")


def build(args: ServeConfig) -> Application:
    """Builds the application.

    The model is resolved here, once: if every replica resolved an alias by itself, a replica started after the alias
    has moved would answer from another model than the others.

    Raises:
        InputError: There is no such bundle or registered model.
    """
    source = find_source(args.bundle, args.tracking_uri)
    # Serve's default of five requests at a time in a replica would keep batches from filling.
    options = {
        "max_ongoing_requests": 2 * args.max_batch_size,
        "ray_actor_options": {"num_cpus": args.cpus},
        "max_surge_percent": 100,  # deployed anew, the old replicas answer until the new ones do
    }

    def bind(deployment: Any, replicas: int, *arguments: Any) -> Any:
        # The ingress holds requests whose bodies are on their way too: /healthz is answered beside many of these.
        more = {"max_ongoing_requests": MOST_OPEN} if deployment is Ingress else {}
        return deployment.options(num_replicas=replicas, **options | more).bind(*arguments)

    model = (source, args.cpus, args.max_batch_size)
    application: Application = bind(
        Ingress,
        args.ingress_replicas,
        bind(Encoder, args.encoder_replicas, *model),
        bind(Decoder, args.decoder_replicas, *model),
        bind(PropertyPredictor, args.predictor_replicas, *model),
        args.token or os.environ.get(TOKEN_VARIABLE) or None,
        args.max_batch_size,
        Limits(args.most_images, args.most_bytes, min(args.most_json_bytes, args.most_bytes), args.body_seconds),
    )
    return application


def find_source(reference: str, tracking_uri: str | None = None) -> Source:
    """Finds the model that `reference` means now: a folder's absolute path, or an alias turned into its version.

    Raises:
        InputError: There is no such bundle or registered model.
    """
    if not isinstance(parse_model(reference), RegisteredModel):
        folder = Path(reference).expanduser().resolve()
        load_bundle(folder)
        return Source(str(folder))
    # An absolute address: replicas run in folders of their own.
    uri = tracking_uri or tracking.default_uri()
    version = tracking.find_version(reference, uri)
    tracking.download_bundle(version.reference, cache(), uri)
    return Source(str(version.reference), uri)
