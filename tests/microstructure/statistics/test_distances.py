import numpy as np
from scipy import ndimage

from microdesign.microstructure.statistics.distances import distances


def test_they_are_those_of_the_tiled_image() -> None:
    rng = np.random.default_rng(0)
    for shape, blur in (((24, 24), 2), ((9, 30), 1), ((16, 16), 5), ((8, 12, 7), 1.5)):
        phase = ndimage.gaussian_filter(rng.standard_normal(shape), blur, mode="wrap") > 0
        middle = tuple(slice(n, 2 * n) for n in shape)
        tiled = ndimage.distance_transform_edt(np.tile(phase, (3,) * len(shape)))[middle][phase]
        alone = ndimage.distance_transform_edt(phase)[phase]
        for limit in (3, 100):
            np.testing.assert_allclose(distances(phase, limit), tiled.clip(max=limit), err_msg=str(shape))
            np.testing.assert_allclose(distances(phase, limit, periodic=False), alone.clip(max=limit))
    assert (distances(np.ones((4, 4), bool), 5) == 5).all()
    assert not len(distances(np.zeros((4, 4), bool), 5))
