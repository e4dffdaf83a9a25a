import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from ray import serve
from ray.serve import RunTarget

from microdesign.microstructure.data.container import Microstructures
from microdesign.model.bundle import Description, load_bundle, save_bundle
from microdesign.model.calibration import Calibration
from microdesign.model.model_config import ModelConfig
from microdesign.model.networks.config import NetworkConfig
from microdesign.model.reference_set import ReferenceSet
from microdesign.model.standardization import Standardization
from microdesign.model.vae import VAERegression
from microdesign.serving.app import TOKEN_VARIABLE, ServeConfig, build
from microdesign.surrogate.local import LocalSurrogate

TOKEN = "open-sesame"


def saved(folder: Path, network: NetworkConfig) -> Path:
    """A model as initialised, of three properties, with calibration and reference set."""
    torch.manual_seed(0)
    config = ModelConfig(network=network)
    standardization = Standardization(
        names=("Ex", "vxy", "kx"), units=("MPa", "", "W/m/K"), offsets=(3.0, 0.3, 0.5), scales=(0.5, 0.05, 0.4)
    )
    calibration = Calibration(level=0.9, factors=(1.0, 2.0, 3.0), samples=99)
    description = Description(model=config, standardization=standardization, calibration=calibration)
    stream, phases = np.random.default_rng(0), network.phases
    seen, held_out = (
        Microstructures(labels=stream.integers(0, phases, (20, *network.shape), dtype=np.uint8), n_phases=phases)
        for _ in range(2)
    )
    posterior = stream.standard_normal((20, network.latent_size)), np.ones((20, network.latent_size))
    reference = ReferenceSet.fit(seen, posterior, held_out, posterior)
    save_bundle(folder, VAERegression(config, 3), description, reference)
    return folder


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model as initialised, 32 x 32 pixels, latent 4, three properties."""
    return saved(tmp_path_factory.mktemp("bundle"), NetworkConfig(size=32, widths=(8, 8, 16), latent=4, hidden=32))


@pytest.fixture(scope="session")
def volume_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for volumes of three phases, 8 voxels an edge."""
    network = NetworkConfig(size=8, dimensions=3, phases=3, widths=(8, 8), latent=4, hidden=32)
    return saved(tmp_path_factory.mktemp("volumes"), network)


@pytest.fixture(scope="session")
def local_surrogate(bundle: Path) -> LocalSurrogate:
    return LocalSurrogate(load_bundle(bundle))


@pytest.fixture(scope="session")
def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="session")
def endpoint(local_ray: None, bundle: Path, volume_bundle: Path, free_port: int) -> Iterator[str]:
    """Address of the running application, which asks for `TOKEN`; small pieces, so that arrays are really split.

    Beside it, at `/volumes`, runs one for volumes. They stay to the end of the session, so they leave processors of
    its Ray to other tests.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(TOKEN_VARIABLE, TOKEN)
        images, volumes = (
            build(ServeConfig(bundle=str(each), max_batch_size=8, most_images=300, most_bytes=2**20, cpus=0.05))
            for each in (bundle, volume_bundle)
        )
    serve.start(http_options={"host": "127.0.0.1", "port": free_port})
    targets = [RunTarget(images, name="microdesign"), RunTarget(volumes, name="volumes", route_prefix="/volumes")]
    serve.run_many(targets)
    yield f"http://127.0.0.1:{free_port}"
    serve.shutdown()


@pytest.fixture(scope="session")
def token() -> str:
    return TOKEN
