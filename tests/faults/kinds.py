"""What the fuzzer tries: a sound file of each kind, how it is changed, and how it is read."""

import hashlib
import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import tifffile
import yaml

from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.io.readers import describe, read
from microdesign.microstructure.io.writers import write
from tests.faults.mutations import mutated, mutated_json, mutated_values

Mutate = Callable[[bytes, np.random.Generator], bytes]
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Kind:
    """One kind of file.

    Attributes:
        make: Makes a sound file or folder at a path; returns the file to change.
        read: Reads it from the path; returns something whose text tells what was read.
        mutate: Changes the file's bytes.
        sealed: Whether a change must never pass as other content, because the file carries checksums of all of it.
    """

    make: Callable[[Path], Path]
    read: Callable[[Path], Any]
    mutate: Mutate = mutated
    sealed: bool = False


def sample(n: int = 3) -> Microstructures:
    """Small images of two phases with a class and a property."""
    stream = np.random.default_rng(0)
    return Microstructures(
        labels=(stream.random((n, 16, 12)) < 0.5).astype(np.uint8),
        n_phases=2,
        classes=("GRF",) * n,
        properties={"Ex": stream.random(n)},
        pixel_size=0.5,
        length_unit="um",
    )


def _images(path: Path) -> Any:
    """Digest of all that was read, once the description has been made too."""
    described = describe(path)
    batch = read(path)
    content = (batch.labels.tobytes(), batch.n_phases, batch.classes, [*batch.properties], batch.spacing, batch.shape)
    return hashlib.sha256(repr((content, len(described))).encode()).hexdigest()


def _written(path: Path, n: int = 3) -> Path:
    return write(path, sample(n))


def _png(path: Path) -> Path:
    return _inside(path.parent / "png", _pictures, "000000.png").rename(path)


def _tiff(path: Path) -> Path:
    tifffile.imwrite(path, sample().labels, metadata={"axes": "ZYX"}, imagej=True)
    return path


def _stack(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        images = file.create_dataset("images", data=sample().labels, chunks=(1, 16, 12), compression="gzip")
        images.attrs["n_phases"] = 2
        file["Ex"] = np.arange(3.0)
    return path


def _dream3d(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        geometry = file.create_group("DataContainers/Image/_SIMPL_GEOMETRY")
        geometry["DIMENSIONS"], geometry["SPACING"] = np.array([4, 3, 2], np.int64), np.ones(3, np.float32)
        file["DataContainers/Image/CellData/Phases"] = np.ones((2, 3, 4, 1), np.int32)
    return path


def _dream3d_nx(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        geometry = file.create_group("DataStructure/Image")
        geometry.attrs["_DIMENSIONS"], geometry.attrs["_SPACING"] = np.array([4, 3, 2]), np.ones(3, np.float32)
        geometry["Cells/Phases"] = np.ones((2, 3, 4, 1), np.int32)
    return path


def _scan(path: Path) -> Path:
    from tests.microstructure.io.formats.ebsd import scans

    stream = np.random.default_rng(0)
    phase, euler = (stream.random((5, 4)) < 0.8).astype(int), stream.random((5, 4, 3)) * 90
    made: Path = getattr(scans, f"write_{path.suffix[1:]}")(path, phase, euler)
    return made


def _vti_packed(path: Path) -> Path:
    labels = sample(1).labels[0].tobytes(order="F")
    packed = zlib.compress(labels)
    head = (
        '<VTKFile type="ImageData" byte_order="LittleEndian" header_type="UInt64" compressor="vtkZLibDataCompressor">'
        '<ImageData WholeExtent="0 16 0 12 0 0"><Piece><CellData><DataArray type="UInt8" Name="phase" '
        'format="appended" offset="0"/></CellData></Piece></ImageData><AppendedData encoding="raw">_'
    )
    counts = struct.pack("<4Q", 1, len(labels), len(labels), len(packed))
    path.write_bytes(head.encode() + counts + packed + b"</AppendedData></VTKFile>")
    return path


def _inside(path: Path, make: Callable[[Path], Any], name: str) -> Path:
    make(path)
    return next(iter(sorted(path.rglob(name))))


def _dataset(path: Path) -> None:
    from microdesign.microstructure.data.dataset import DatasetWriter

    writer = DatasetWriter(path, settings={"a": 1}, units={"Ex": "MPa"})
    writer.write_shard("first", sample())
    writer.finish()


def _pictures(path: Path) -> None:
    from microdesign.microstructure.io.formats.pictures import PictureWriter

    PictureWriter().write(path, [sample()])


def _materials(path: Path) -> Path:
    values = {
        "plane": "strain",
        "phases": [{"name": "steel", "E": 210e3, "nu": 0.3, "k": 50.0}, {"E": 1.0, "nu": 0.2, "k": 1.0}],
    }
    path.write_text(yaml.safe_dump(values))
    return path


def _read_materials(path: Path) -> Any:
    from microdesign.physics.materials import load_materials

    return load_materials(path)


def _config(path: Path, name: str) -> Path:
    path.write_bytes((ROOT / "jobs" / "configs" / name).read_bytes())
    return path


def _read_config(path: Path, job: str) -> Any:
    from microdesign.jobs.job_configs import read_config

    return read_config(job, path)


def _yaml(data: bytes, stream: np.random.Generator) -> bytes:
    if stream.random() < 0.4:
        return mutated(data, stream)
    return yaml.safe_dump(mutated_values(yaml.safe_load(data), stream), allow_unicode=True).encode(errors="replace")


def _bundle(path: Path) -> None:
    import torch

    from microdesign.model.bundle import Description, save_bundle
    from microdesign.model.model_config import ModelConfig
    from microdesign.model.networks.config import NetworkConfig
    from microdesign.model.prior.config import PriorConfig
    from microdesign.model.standardization import Standardization
    from microdesign.model.vae import VAERegression

    torch.manual_seed(0)
    network = NetworkConfig(size=8, widths=(2, 2), latent=2, hidden=4, decoder="upsampling", field_channels=1)
    config = ModelConfig(network=network, prior=PriorConfig(kind="conditional", hidden=4))
    names = Standardization(names=("Ex", "vxy"), units=("MPa", "1"), offsets=(1.0, 0.3), scales=(0.5, 0.1))
    save_bundle(path, VAERegression(config, 2), Description(model=config, standardization=names))


def _read_bundle(path: Path) -> Any:
    from microdesign.model.bundle import load_bundle

    bundle = load_bundle(path)
    return bundle.description, sum(float(each.double().sum()) for each in bundle.model.state_dict().values())


def _resealed(data: bytes, stream: np.random.Generator) -> bytes:
    """A description that was changed and bears the right digest all the same, as a stranger's would."""
    from microdesign.model.bundle import description_digest

    values = mutated_values(json.loads(data), stream)
    return json.dumps(values | {"digest": description_digest(values)}).encode()


def _campaign(path: Path) -> None:
    from dataclasses import replace

    from microdesign.design.campaign.ledger import Ledger
    from microdesign.design.campaign.trials import Trial, TrialState

    ledger = Ledger(str(path), {"target": {"properties": {"Ex": 2.0}}, "seed": 0})
    trial = Trial(0, "key", sample(1).labels[0], np.arange(3.0), 1, 0, "draw", "p", "model", {"Ex": 1.9})
    ended = trial.moved(TrialState.RUNNING, attempts=1).moved(TrialState.SUCCEEDED, order=0)
    ledger.record([trial, replace(ended, verified={"Ex": 2.0})])


def _read_campaign(path: Path) -> Any:
    from microdesign.design.campaign.ledger import Ledger, read_trials

    trials, identity = read_trials(str(path))
    again = Ledger(str(path), identity)
    return [trial.verified for trial in trials.trials], len(again)


def _arrow(path: Path) -> Path:
    from microdesign.surrogate.arrow_wire import pack

    path.write_bytes(pack({"labels": sample().labels, "z": np.ones((2, 3)), "n": np.array(3)}))
    return path


def _read_arrow(path: Path) -> Any:
    from microdesign.surrogate.arrow_wire import unpack

    return {name: (array.shape, array.tobytes()) for name, array in unpack(path.read_bytes()).items()}


def _body(path: Path) -> Path:
    path.write_text(json.dumps({"like": [[[0, 1], [1, 0]]], "n": 2, "seed": 1, "size": [8, 8], "component": None}))
    return path


def _read_body(path: Path) -> Any:
    from microdesign.serving.bodies import realisation_request

    return realisation_request(path.read_bytes(), arrow=False)


def _written_kind(sealed: bool = False) -> Kind:
    return Kind(_written, _images, sealed=sealed)


KINDS: dict[str, Kind] = {
    "a.npy": _written_kind(),
    "a.npz": _written_kind(),
    "a.png": Kind(_png, _images, sealed=True),
    "a.tif": _written_kind(),
    "imagej.tif": Kind(_tiff, _images),
    "a.vti": Kind(partial(_written, n=1), _images),
    "packed.vti": Kind(_vti_packed, _images),
    "micro2d.h5": _written_kind(),
    "stack.h5": Kind(_stack, _images),
    "a.dream3d": Kind(_dream3d, _images),
    "nx.dream3d": Kind(_dream3d_nx, _images),
    "a.ang": Kind(_scan, _images),
    "a.ctf": Kind(_scan, _images),
    "a.h5oina": Kind(_scan, _images),
    "pictures": Kind(lambda path: _inside(path, _pictures, "images.json"), _images, mutated_json),
    "manifest": Kind(lambda path: _inside(path, _dataset, "dataset.json"), _images, mutated_json),
    "shard": Kind(lambda path: _inside(path, _dataset, "*.parquet"), _images),
    "materials.yaml": Kind(_materials, _read_materials, _yaml),
    "train.yaml": Kind(partial(_config, name="train.yaml"), partial(_read_config, job="train"), _yaml),
    "design.yaml": Kind(partial(_config, name="design.yaml"), partial(_read_config, job="design"), _yaml),
    "sweep.yaml": Kind(partial(_config, name="sweep.yaml"), partial(_read_config, job="sweep"), _yaml),
    "generate.yaml": Kind(partial(_config, name="generate.yaml"), partial(_read_config, job="generate"), _yaml),
    "label.yaml": Kind(partial(_config, name="label.yaml"), partial(_read_config, job="label"), _yaml),
    "evaluate.yaml": Kind(partial(_config, name="fidelity.yaml"), partial(_read_config, job="evaluate"), _yaml),
    "bundle-description": Kind(
        lambda path: _inside(path, _bundle, "model.json"), _read_bundle, mutated_json, sealed=True
    ),
    "bundle-stranger": Kind(lambda path: _inside(path, _bundle, "model.json"), _read_bundle, _resealed),
    "bundle-weights": Kind(lambda path: _inside(path, _bundle, "weights.safetensors"), _read_bundle, sealed=True),
    "campaign": Kind(lambda path: _inside(path, _campaign, "campaign.json"), _read_campaign, mutated_json),
    "campaign-part": Kind(lambda path: _inside(path, _campaign, "*.parquet"), _read_campaign),
    "arrow-body": Kind(_arrow, _read_arrow),
    "json-body": Kind(_body, _read_body, mutated_json),
}
"""Every kind by the name of its file or folder."""
