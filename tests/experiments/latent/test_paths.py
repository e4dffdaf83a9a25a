import numpy as np

from microdesign.core.metrics import worst_errors
from microdesign.experiments.latent.figures import traversal
from microdesign.experiments.latent.paths import corrected_path, dissimilar_pair, straight_path
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.dataset import Dataset
from microdesign.model.bundle import Bundle
from microdesign.surrogate.local import LocalSurrogate
from microdesign.surrogate.protocol import Prior, decode_labels


def test_a_traversal_moves_one_dimension() -> None:
    prior = Prior(np.ones(2) / 2, np.array([[0.0, 1.0], [5.0, 6.0]]), np.array([[1.0, 1.0], [0.5, 2.0]]))
    np.testing.assert_allclose(traversal(prior, 1, 1), [[5, 2], [5, 4], [5, 6], [5, 8], [5, 10]])


def test_a_dissimilar_pair_has_near_properties_and_far_statistics() -> None:
    stripes = np.zeros((16, 16), np.uint8)
    stripes[::2] = 1
    wide = np.zeros((16, 16), np.uint8)
    wide[:8] = 1
    labels = np.stack([stripes, wide, np.roll(stripes, 1, 0), stripes.T])
    table = np.array([[1.0], [1.01], [1.0], [3.0]])
    assert set(dissimilar_pair(Microstructures(labels=labels, n_phases=2), table)) in ({0, 1}, {1, 2})


def test_a_path_between_images_of_equal_properties_ends_at_their_latents(bundle: Bundle, dataset: Dataset) -> None:
    surrogate, pair = LocalSurrogate(bundle), dataset.load("test").select([0, 1])
    row = pair.property_table(surrogate.properties)[:1]
    path, target = straight_path(surrogate, pair, row.repeat(2, 0), 5)
    np.testing.assert_allclose(target, row[0])
    np.testing.assert_allclose(path[[0, -1]], surrogate.encode(pair.labels)[0], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(path[2], path[[0, -1]].mean(0), atol=1e-9)
    other = row * np.array([[1.0], [1.2]])
    ends = straight_path(surrogate, pair, other, 2)[0]
    assert not np.allclose(ends[0], surrogate.encode(pair.labels)[0][0])


def test_a_corrected_path_is_nearer_to_its_properties(bundle: Bundle, dataset: Dataset) -> None:
    surrogate, pair = LocalSurrogate(bundle), dataset.load("test").select([0, 1])
    table = pair.property_table(surrogate.properties)
    path, target = straight_path(surrogate, pair, table, 5)

    def errors(z: np.ndarray) -> np.ndarray:
        return worst_errors(surrogate.predict(decode_labels(surrogate, z))[0], target)

    after = corrected_path(surrogate, path, target)
    assert (errors(after) <= errors(path)).all()
    assert errors(after).mean() < errors(path).mean()
