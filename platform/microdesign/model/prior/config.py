"""The settings of the latent prior."""

from pydantic import Field, field_validator

from microdesign.core.config import Config
from microdesign.model.plugins import check_name

STANDARD, CONDITIONAL, MIXTURE = "standard", "conditional", "mixture"


class PriorConfig(Config):
    """Which prior, and its size."""

    kind: str = Field(MIXTURE, description="family of p(z|c): standard, conditional, mixture, or module:name")
    components: int = Field(4, ge=1, le=64, description="K, for `mixture`")
    hidden: int = Field(64, ge=1, le=2**14, description="width of the mixture's network")
    spread: float = Field(1.5, gt=0, description="distance scale of the components' initial means, in latent units")

    @field_validator("kind")
    @classmethod
    def _check_kind(cls, value: str) -> str:
        return check_name("prior", value, (STANDARD, CONDITIONAL, MIXTURE))
