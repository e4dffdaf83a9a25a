"""The contract of `Surrogate`, held by the one in process and by the one over HTTP."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.core.files import digest_json
from microdesign.model.bundle import DECODING
from microdesign.surrogate import endpoint as endpoints
from microdesign.surrogate import remote
from microdesign.surrogate.local import LocalSurrogate
from microdesign.surrogate.protocol import Surrogate, decode_labels
from microdesign.surrogate.remote import RemoteSurrogate

TARGET = {"Ex": 20.0, "vxy": 0.3, "kx": 1.5}


@pytest.fixture(scope="module")
def remote_surrogate(endpoint: str, token: str) -> Iterator[RemoteSurrogate]:
    surrogate = RemoteSurrogate(endpoint, token)
    yield surrogate
    surrogate.close()


@pytest.fixture(params=["local", pytest.param("remote", marks=pytest.mark.ray)])
def surrogate(request: pytest.FixtureRequest) -> Surrogate:
    return request.getfixturevalue(f"{request.param}_surrogate")


def images(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, (n, 32, 32), np.uint8)


class TestContract:
    def test_names_the_model(self, surrogate: Surrogate) -> None:
        assert surrogate.properties == ("Ex", "vxy", "kx")
        assert len(surrogate.digest) == 64
        # Whoever serves it: the weights, and how they are decoded.
        assert surrogate.digest == digest_json([surrogate.describe()["weights"], DECODING])

    def test_shapes_and_ranges(self, surrogate: Surrogate) -> None:
        for n in (0, 1, 20):
            mean, std = surrogate.encode(images(n))
            assert mean.shape == std.shape == (n, 4)
            assert (std > 0).all()
            predicted, spread = surrogate.predict(images(n))
            assert predicted.shape == spread.shape == (n, 3)
            assert (predicted[:, [0, 2]] > 0).all()
            assert (spread > 0).all()
            probabilities = surrogate.decode(np.random.default_rng(0).normal(size=(n, 4)))
            assert probabilities.shape == (n, 1, 32, 32)
            assert probabilities.dtype == np.float32
            assert ((probabilities >= 0) & (probabilities <= 1)).all()

    def test_decodes_to_labels(self, surrogate: Surrogate) -> None:
        z = np.zeros((2, 4))
        labels = decode_labels(surrogate, z)
        np.testing.assert_allclose(labels.mean((1, 2)), surrogate.decode(z).mean((1, 2, 3)), atol=1 / 32**2)

    def test_batch_neighbours_do_not_matter(self, surrogate: Surrogate) -> None:
        both, alone = surrogate.encode(images(9)), surrogate.encode(images(9)[4:5])
        np.testing.assert_allclose(both[0][4:5], alone[0], rtol=1e-4, atol=1e-5)

    def test_prior_is_a_mixture(self, surrogate: Surrogate) -> None:
        prior = surrogate.prior(TARGET)
        assert prior.weights.shape == (4,)
        assert prior.mean.shape == prior.std.shape == (4, 4)
        assert prior.weights.sum() == pytest.approx(1)

    def test_seed_fixes_the_draws(self, surrogate: Surrogate) -> None:
        first, again, other = (surrogate.sample(TARGET, 50, seed) for seed in (1, 1, 2))
        np.testing.assert_array_equal(first.z, again.z)
        assert not np.array_equal(first.z, other.z)
        assert set(first.component) <= {0, 1, 2, 3}
        np.testing.assert_allclose(first.log_density, surrogate.prior(TARGET).log_density(first.z))

    def test_draws_more_than_a_request_takes(self, surrogate: Surrogate) -> None:
        assert surrogate.sample(TARGET, 20_000, 0).z.shape == (20_000, 4)

    def test_refuses_images(self, surrogate: Surrogate) -> None:
        for labels, sentence in (
            (np.zeros((1, 16, 16), np.uint8), r"Images of shape \(1, 16, 16\) do not fit the model"),
            (np.zeros((32, 32), np.uint8), r"Images of shape .* do not fit the model; expected \(n, 32, 32\)"),
            (np.full((1, 32, 32), 2, np.uint8), "values other than the integer phase labels 0 and 1"),
            (np.full((1, 32, 32), 0.5), "values other than the integer phase labels 0 and 1"),
        ):
            for method in (surrogate.encode, surrogate.predict):
                with pytest.raises(InputError, match=sentence):
                    method(labels)

    def test_refuses_latents(self, surrogate: Surrogate) -> None:
        for z in (np.zeros((1, 5)), np.zeros(4), np.full((1, 4), np.nan), np.full((1, 4), np.inf)):
            with pytest.raises(InputError, match=r"expected finite numbers \(n, 4\)"):
                surrogate.decode(z)

    def test_refuses_targets(self, surrogate: Surrogate) -> None:
        for target, sentence in (
            ({"Ex": 1.0, "vxy": 0.3}, "The target names Ex, vxy; expected Ex, vxy, kx"),
            ({**TARGET, "ky": 1.0}, "expected Ex, vxy, kx"),
            ({**TARGET, "Ex": -1.0}, "Property 'Ex' of sample 0 is -1.0; expected it finite and > 0"),
            ({**TARGET, "vxy": 1e300}, r"vxy = 1e\+300, kx = 1.5 overflows the model's prior"),
            ({**TARGET, "vxy": np.nan}, "Property 'vxy' of sample 0 is nan; expected it finite"),
        ):
            with pytest.raises(InputError, match=sentence):
                surrogate.sample(target, 1, 0)


@pytest.mark.ray
class TestRemote:
    def test_equals_local(self, local_surrogate: LocalSurrogate, remote_surrogate: RemoteSurrogate) -> None:
        # More than a chunk of the client, more than a piece of the ingress.
        x, z = images(remote.CHUNK + 5), np.random.default_rng(1).normal(size=(remote.CHUNK + 5, 4))
        pairs = [
            *zip(local_surrogate.encode(x), remote_surrogate.encode(x), strict=True),
            *zip(local_surrogate.predict(x), remote_surrogate.predict(x), strict=True),
            (local_surrogate.decode(z), remote_surrogate.decode(z)),
        ]
        for here, there in pairs:
            assert here.dtype == there.dtype
            np.testing.assert_allclose(there, here, rtol=1e-4, atol=1e-5)
        here, there = (surrogate.sample(TARGET, 100, 3) for surrogate in (local_surrogate, remote_surrogate))
        np.testing.assert_allclose(there.z, here.z, rtol=1e-12)
        np.testing.assert_array_equal(there.component, here.component)
        np.testing.assert_allclose(there.log_density, here.log_density, rtol=1e-12)
        assert remote_surrogate.describe() == local_surrogate.describe()

    def test_concurrent_requests_get_their_own_answers(
        self, local_surrogate: LocalSurrogate, remote_surrogate: RemoteSurrogate
    ) -> None:
        """Also when one of those that share a pass is refused."""

        def ask(seed: int) -> np.ndarray | None:
            if seed % 7:
                return remote_surrogate.encode(images(1 + seed % 3, seed))[0]
            with pytest.raises(InputError, match="Images of shape"):
                remote_surrogate.encode(np.zeros((1, 8, 8), np.uint8))
            return None

        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(ask, range(64)))
        for seed, answer in enumerate(answers):
            if answer is not None:
                expected = local_surrogate.encode(images(1 + seed % 3, seed))[0]
                np.testing.assert_allclose(answer, expected, rtol=1e-4, atol=1e-5)

    def test_wrong_token(self, endpoint: str) -> None:
        with pytest.raises(InputError, match="A valid token is needed"):
            RemoteSurrogate(endpoint, "guess")

    def test_not_this_application(self, endpoint: str, token: str) -> None:
        with pytest.raises(InputError, match="There is no GET /elsewhere/v1/model here"):
            RemoteSurrogate(f"{endpoint}/elsewhere", token)


class TestWithoutServer:
    def test_dead_server(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(endpoints, "_FIRST_PAUSE", 0.001)
        with pytest.raises(InputError, match=r"The Serve endpoint at http://127.0.0.1:9 does not answer \(.*refused"):
            RemoteSurrogate("http://127.0.0.1:9")

    def test_no_address(self) -> None:
        with pytest.raises(InputError, match="'localhost' is no address of a Serve endpoint"):
            RemoteSurrogate("localhost")

    def test_impossible_token(self) -> None:
        for token in ("", "a\nb", "schlüssel", " padded"):
            with pytest.raises(InputError, match="expected printable ASCII"):
                RemoteSurrogate("http://127.0.0.1:9", token)
