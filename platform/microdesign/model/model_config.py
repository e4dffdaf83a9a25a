"""The settings of a model."""

from pydantic import model_validator

from microdesign.core.config import Config
from microdesign.model.networks.config import NetworkConfig
from microdesign.model.prior.config import CONDITIONAL, MIXTURE, PriorConfig


class ModelConfig(Config):
    """Everything that rebuilds the model: its networks and its prior."""

    network: NetworkConfig = NetworkConfig()
    prior: PriorConfig = PriorConfig()

    @model_validator(mode="after")
    def _check_prior(self) -> "ModelConfig":
        if self.network.latent_kind == "spatial" and self.prior.kind in (CONDITIONAL, MIXTURE):
            raise ValueError(
                f"prior {self.prior.kind} is not supported with latent_kind spatial; set prior.kind to standard"
            )
        return self
