"""Settings of the refinement."""

from pydantic import Field

from microdesign.core.config import Config

STALLED = 4
"""Results without improvement after which a trust region shrinks."""


class RefinementConfig(Config):
    """Size and pace of the refinement."""

    pool: int | None = Field(
        None, ge=8, description="latents drawn and decoded for each request; null: 128, of volumes 48"
    )
    radius: float = Field(
        0.6, gt=0, description="first radius of a trust region, in standard deviations of the component"
    )
    shrink: float = Field(0.7, gt=0, lt=1, description=f"factor of the radius after {STALLED} results, none better")
    smallest_radius: float = Field(0.02, gt=0, description="radius at which a trust region starts over")
    quantile: float = Field(
        0.999, gt=0, lt=1, description="share of a component's own draws that its density limit admits"
    )
    optimum_quantile: float = Field(
        1 - 1e-7, gt=0, lt=1, description="the same on the way to an optimum, which lies where the prior is thin"
    )
    observations: int = Field(200, ge=10, description="most observations in the Gaussian process, the best ones")
