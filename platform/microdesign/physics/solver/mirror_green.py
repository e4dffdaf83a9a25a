"""The preconditioner of mirrored images: K0^-1 by cosine and sine transforms on the image's own grid.

The fields of the mirrored image, of period 2 N along each axis, are even or odd about its faces. With nodes on the
faces (elements) their Fourier coefficients are the cosine (DCT-I) or sine (DST-I) transforms of the nodes 0 to N; with
nodes at the centres of cells (finite volumes), the transforms DCT-II or DST-II. Each sine along an axis brings a factor
-i. K0 couples components whose numbers of sines differ by 0 or 2, so that what is left of these factors is a sign.

Shapes in names: L load cases, C components, S all of space (the nodes).
"""

import numpy as np
import scipy.fft

from microdesign.physics.solver.boundary import Parity
from microdesign.physics.solver.green import multiply
from microdesign.physics.tensors import PAIRS


class MirrorGreenOperator:
    """Writes z = K0^-1 r for fields of one parity.

    Args:
        green: K0^-1 at the wave numbers pi q / N, q from 0 to N, symmetric: `(1, X + 1, Y + 1)` or components xx, yy,
            xy, `(3, X + 1, Y + 1)`; likewise in three dimensions.
        odd: Whether each component is odd about the faces across each axis.
        centred: Whether the nodes are the centres of N cells, and not the N + 1 ends of N elements.
    """

    def __init__(self, green: np.ndarray, odd: Parity, centred: bool) -> None:
        self.odd, self.centred = odd, centred
        if centred:
            (along,) = odd  # one component: a sine transform has the wave numbers 1 to N, a cosine one 0 to N - 1
            self.green = green[(0, *(slice(1, None) if sine else slice(-1) for sine in along))]
            return
        signs = reflection_signs(odd)
        flips = [signs[a] * signs[b] for a, b in (PAIRS[len(odd)] if len(odd) > 1 else ((0, 0),))]
        self.green = green if min(flips) > 0 else green * np.array(flips, green.dtype).reshape(-1, *[1] * len(odd[0]))

    def __call__(self, residual_LCS: np.ndarray, z_LCS: np.ndarray) -> None:
        """Writes z for a residual r, both `(L, C, *S)`; r on faces where a component is odd does not count."""
        z_LCS[:] = residual_LCS
        for component, odd in enumerate(self.odd):
            self._transform(z_LCS[:, component], odd, inverse=False)
        if self.centred:
            z_LCS *= self.green
        else:
            L, C = z_LCS.shape[:2]
            multiply(z_LCS.reshape(L, C, -1), self.green.reshape(len(self.green), -1))
        for component, odd in enumerate(self.odd):
            self._transform(z_LCS[:, component], odd, inverse=True)

    def _transform(self, field_LS: np.ndarray, odd: tuple[bool, ...], inverse: bool) -> None:
        """Transforms a component in place."""
        for axis, sine in enumerate(odd, start=1):
            part = field_LS
            if not self.centred:
                ends = [_part(field_LS, axis, end) for end in (0, -1)]
                if sine:
                    part = _part(field_LS, axis, slice(1, -1))
                    for end in ends:
                        end[:] = 0
                elif not inverse:  # the mirrored image has these nodes' forces from both sides
                    for end in ends:
                        end *= 2
            transform = _TRANSFORMS[sine, inverse]
            result = transform(part, type=2 if self.centred else 1, axis=axis, overwrite_x=True)
            if not np.may_share_memory(result, part):
                part[:] = result


def reflection_signs(odd: Parity) -> list[int]:
    """Returns (-i)^(number of sines - that of component 0) of each component, 1 or -1."""
    return [1 - 2 * ((sum(each) - sum(odd[0])) // 2 % 2) for each in odd]


_TRANSFORMS = {
    (False, False): scipy.fft.dct,
    (False, True): scipy.fft.idct,
    (True, False): scipy.fft.dst,
    (True, True): scipy.fft.idst,
}


def _part(field_LS: np.ndarray, axis: int, index: int | slice) -> np.ndarray:
    return field_LS[(slice(None),) * axis + (index,)]
