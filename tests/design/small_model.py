"""A small model as initialised: what it decodes is random, what physics says of it is not."""

from collections.abc import Mapping

import torch

from microdesign.design.search.sampling import Strata
from microdesign.model.bundle import Bundle, Description
from microdesign.model.model_config import ModelConfig
from microdesign.model.networks.config import NetworkConfig
from microdesign.model.standardization import Standardization
from microdesign.model.vae import VAERegression
from microdesign.physics.materials import Materials
from microdesign.surrogate.local import LocalSurrogate
from microdesign.surrogate.protocol import Prior

MATERIALS = Materials.model_validate({"phases": [{"E": 1, "nu": 0.3, "k": 1}, {"E": 10, "nu": 0.3, "k": 10}]})


NETWORK = NetworkConfig(size=32, widths=(8, 8, 16), latent=4, hidden=32)


def small_surrogate(
    network: NetworkConfig = NETWORK,
    names: tuple[str, str] = ("Ex", "kx"),
    materials: Materials = MATERIALS,
) -> LocalSurrogate:
    torch.manual_seed(0)
    config = ModelConfig(network=network)
    standardization = Standardization(names=names, units=("1", "1"), offsets=(1.2, 1.2), scales=(0.3, 0.3))
    description = Description(
        model=config, standardization=standardization, materials=materials.model_dump(mode="json"), weights="random"
    )
    return LocalSurrogate(Bundle(VAERegression(config, 2).eval(), description))


def strata_of(*priors: Prior) -> Strata:
    """The strata of priors at as many points of one property, 1, 2, ..."""

    class Model:
        properties = ("Ex",)

        def prior(self, target: Mapping[str, float]) -> Prior:
            return priors[round(target["Ex"]) - 1]

    return Strata.of(Model(), [{"Ex": 1.0 + place} for place in range(len(priors))])
