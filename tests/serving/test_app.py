"""What can be said of the application without running it."""

import asyncio
import json
import runpy
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from pydantic import ValidationError
from ray import serve
from ray.serve.schema import ServeDeploySchema

from microdesign import tracking
from microdesign.core.errors import InputError
from microdesign.model.bundle import load_bundle
from microdesign.serving import deployments
from microdesign.serving.app import ServeConfig, build, find_source
from microdesign.serving.bodies import from_json, from_nested
from microdesign.serving.deployments import Source, batched
from microdesign.serving.schemas import Images
from microdesign.surrogate.arrow_wire import pack, unpack
from microdesign.surrogate.local import LocalSurrogate


def test_serve_yaml_is_valid() -> None:
    text = (Path(__file__).parents[2] / "serving" / "serve.yaml").read_text()
    (application,) = ServeDeploySchema.model_validate(yaml.safe_load(text)).applications
    assert application.import_path == "microdesign.serving.app:build"
    config = ServeConfig.model_validate(application.args)
    assert config.bundle == f"models:/microdesign@{tracking.CHAMPION}"


def test_unknown_setting() -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        ServeConfig.model_validate({"replicas": 2})


def test_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no model bundle"):
        build(ServeConfig(bundle=str(tmp_path)))


def test_bundle_folder_becomes_absolute(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bundle.parent)
    assert find_source(bundle.name).reference == str(bundle)


def test_alias_becomes_a_version(
    bundle: Path, local_surrogate: LocalSurrogate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    uri = tracking.default_uri(tmp_path)
    tracking.register_bundle(tracking.start_run("serving", "registers", uri), bundle, "micro-design")
    source = find_source("models:/micro-design@champion", uri)
    assert source.reference == "models:/micro-design/1"
    assert source.load().digest == local_surrogate.digest
    with pytest.raises(InputError, match="is not registered"):
        find_source("models:/nothing@champion", uri)


def test_concurrent_requests_share_a_pass(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A replica without a cluster: the queue of `serve.batch` asks for nothing but this number. The class is a copy of
    # its own, since one that has a queue can no longer be deployed.
    encoder = runpy.run_path(deployments.__file__)["Encoder"].func_or_class
    context = SimpleNamespace(_deployment_config=SimpleNamespace(max_ongoing_requests=64))
    monkeypatch.setattr(serve, "get_replica_context", lambda: context)
    sizes = []

    async def ask() -> list:
        replica = encoder(Source(str(bundle)), cpus=1, max_batch_size=8)
        encode = replica.surrogate.encode
        monkeypatch.setattr(replica.surrogate, "encode", lambda x: (sizes.append(len(x)), encode(x))[1])
        return await asyncio.gather(*(replica.encode(np.zeros((2, 32, 32), np.uint8)) for _ in range(16)))

    answers = asyncio.run(ask())
    assert [each.arrays["mean"].shape for each in answers] == [(2, 4)] * 16
    assert {each.digest for each in answers} == {load_bundle(bundle).digest}
    assert sizes == [8, 8, 8, 8]


def test_more_than_a_batch(bundle: Path, local_surrogate: LocalSurrogate, monkeypatch: pytest.MonkeyPatch) -> None:
    """While an application is deployed anew, an ingress may send what another's replicas take in several passes."""
    decoder = runpy.run_path(deployments.__file__)["Decoder"].func_or_class
    context = SimpleNamespace(_deployment_config=SimpleNamespace(max_ongoing_requests=64))
    monkeypatch.setattr(serve, "get_replica_context", lambda: context)
    z = np.random.default_rng(0).normal(size=(7, 4))

    async def ask() -> list[Any]:
        replica = decoder(Source(str(bundle)), cpus=1, max_batch_size=3)
        return [await replica.decode(each) for each in (z, z[:, :2])]

    found, refused = asyncio.run(ask())
    np.testing.assert_allclose(found.arrays["probabilities"], local_surrogate.decode(z), rtol=1e-4, atol=1e-5)
    assert "expected finite numbers" in str(refused)


def test_images_and_volumes_as_nested_lists() -> None:
    for shape in ((2, 3, 3), (2, 3, 3, 3)):
        labels = np.random.default_rng(0).integers(0, 4, shape)
        body = json.dumps({"labels": labels.tolist()}).encode()
        np.testing.assert_array_equal(from_nested(from_json(body, Images).labels), labels)


class TestBatched:
    @pytest.fixture
    def calls(self) -> list[int]:
        return []

    def double(self, calls: list[int]):
        def function(array: np.ndarray) -> tuple[np.ndarray, ...]:
            calls.append(len(array))
            if (array < 0).any():
                raise InputError(f"{array.min()} is negative.")
            return (2 * array, -array)

        return function

    def test_one_call_for_all(self, calls: list[int]) -> None:
        batch = [np.ones((n, 2)) * n for n in (3, 0, 1)]
        answers = batched(self.double(calls), batch)
        assert calls == [4]
        for array, (doubled, negative) in zip(batch, answers, strict=True):
            np.testing.assert_array_equal(doubled, 2 * array)
            np.testing.assert_array_equal(negative, -array)

    def test_a_refusal_is_for_its_sender_only(self, calls: list[int]) -> None:
        first, second, third = batched(self.double(calls), [np.ones((1, 2)), -np.ones((1, 2)), np.ones((2, 3))])
        np.testing.assert_array_equal(first[0], 2 * np.ones((1, 2)))
        assert isinstance(second, InputError)
        assert str(second) == "-1.0 is negative."
        assert third[0].shape == (2, 3)


class TestWire:
    def test_arrays_come_back_as_sent(self) -> None:
        for dtype in (np.uint8, np.int64, np.float32, np.float64, np.bool_):
            for shape in ((), (0, 3), (5,), (2, 1, 3, 4)):
                array = np.random.default_rng(0).integers(0, 2, shape).astype(dtype)
                answer = unpack(pack({"a": array, "b": array.T}))
                np.testing.assert_array_equal(answer["a"], array, strict=True)
                np.testing.assert_array_equal(answer["b"], array.T, strict=True)
                assert answer["a"].flags.writeable

    def test_damaged_bytes_never_get_past(self) -> None:
        """Any flipped byte gives an `InputError` or some arrays, nothing else."""
        good = pack({"a": np.arange(6.0).reshape(2, 3), "b": np.zeros(3, np.uint8)})
        stream = np.random.default_rng(0)
        for _ in range(2000):
            bad = bytearray(good)
            for position in stream.integers(0, len(bad), 3):
                bad[position] = stream.integers(256)
            with suppress(InputError):
                unpack(bytes(bad))
