"""Requests and answers of the endpoints as JSON; the Arrow form has the same names.

Shapes: n samples, D latent, K components, P properties or phases, `*N` an image's axes X Y or X Y Z.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

MOST_DRAWS = 10_000


class Request(BaseModel):
    """Base of the requests: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid")


class Images(Request):
    """Images to encode or to predict properties of."""

    labels: list[Any] = Field(
        description="phase labels 0 to P - 1, nested lists (n, X, Y) or (n, X, Y, Z); axis 0 of an image is x"
    )


class Latents(Request):
    """Latents to decode."""

    z: list[list[float]] = Field(description="latents (n, D)")
    labels: bool = Field(False, description="also give phase labels of the same volume fractions (JSON only)")


class SampleRequest(Request):
    """A target to sample latents for."""

    target: dict[str, float] = Field(description="a value for each property of the model, in its units")
    n: int = Field(1, ge=1, le=MOST_DRAWS, description="number of latents")
    seed: int = Field(0, ge=0, description="the same seed gives the same latents")


class RealisationRequest(Request):
    """Realisations of the material of images, or for a target."""

    like: list[Any] | None = Field(None, description="phase labels (m, *N) of the images to draw like")
    target: dict[str, float] | None = Field(None, description="a value for each property of the model, in its units")
    n: int = Field(1, ge=1, le=MOST_DRAWS, description="number of realisations, of each image")
    seed: int = Field(0, ge=0, description="the same seed gives the same realisations")
    size: Annotated[int, Field(ge=1)] | list[Annotated[int, Field(ge=1)]] | None = Field(
        None, description="pixels along all axes, or along each; null: the model's own"
    )
    component: int | None = Field(None, ge=0, description="component of p(z|c), for a target; null: by weight")
    dims: Literal[2, 3] | None = Field(None, description="3: volumes by a model of images; null: the model's own")
    per_axis: bool = Field(False, description="three images are sections across x, y and z of one volume")


class Realisations(BaseModel):
    """Phase labels `labels` (m * n, *N): n of the first image, then n of the second one; (n, *N) for a target."""

    labels: list[Any]


class Posterior(BaseModel):
    """q(z|x): `mean` and `std`, each (n, D)."""

    mean: list[list[float]]
    std: list[list[float]]


class Decoded(BaseModel):
    """Decoded images: `probabilities` (n, 1, *N) of phase 1 of two, else (n, P, *N) of all; `labels` (n, *N)."""

    probabilities: list[Any]
    labels: list[Any] | None = None


class Prediction(BaseModel):
    """q(c|x) in physical units: `mean` and `std`, each (n, P), in the order of `properties`.

    A calibrated model adds the bounds `lower` and `upper`, (n, P), of intervals that hold the share of new images that
    its description states; one with a reference set the score `out_of_distribution`, (n,): the share of held-out images
    that are nearer to the training data. Above 0.99 the prediction is an extrapolation.
    """

    properties: list[str]
    mean: list[list[float]]
    std: list[list[float]]
    lower: list[list[float]] | None = None
    upper: list[list[float]] | None = None
    out_of_distribution: list[float] | None = None


class Sample(BaseModel):
    """Latents `z` (n, D) of p(z|c), their `component` and `log_density` (n,), and the mixture over K components."""

    z: list[list[float]]
    component: list[int]
    log_density: list[float]
    weights: list[float]
    mean: list[list[float]]
    std: list[list[float]]


class Model(BaseModel):
    """The model behind the endpoints: `description` is its bundle's model.json."""

    digest: str
    properties: list[str]
    description: dict[str, Any]


class Problem(BaseModel):
    """One sentence on why a request was refused."""

    detail: str
