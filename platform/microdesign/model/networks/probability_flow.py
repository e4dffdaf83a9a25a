"""The probability flow of a denoiser, from noise to an image, in few steps.

Source: C. Lu, Y. Zhou, F. Bao, J. Chen, C. Li, J. Zhu, "DPM-Solver++: fast solver for guided sampling of diffusion
probabilistic models", arXiv:2211.01095 (2022): the multistep solver of second order (2M), here for
x_t = t x + (1 - t) noise.

Shapes: B batch, C channels, `*N` image axes.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor


def probability_flow(clean: Callable[[Tensor, float], Tensor], x: Tensor, times: Sequence[float]) -> Tensor:
    """Follows the flow and returns the last estimate of the clean image, `(B, C, *N)`.

    A step from t to t' with the estimate x of the clean image goes to x_t + (t' - t) (x - x_t) / (1 - t), which is
    exact for an estimate that does not change. It does, and so the estimate is extrapolated to the middle of the step,
    in the logarithm of signal over noise, from this one and the one before: second order for no more evaluations.

    Args:
        clean: Estimates the clean image, -1 where a phase is not and 1 where it is, from x_t and t.
        x: x_t at the first time, `(B, C, *N)`.
        times: Increasing from 0 or more to 1.
    """
    before: Tensor | None = None
    found, length_before = x, math.inf
    for t, later in pairwise(times):
        found = ahead = clean(x, t)
        if later == 1:
            break
        length = _signal_to_noise(later) - _signal_to_noise(t)
        if before is not None and math.isfinite(length_before):
            ahead = found + 0.5 * length / length_before * (found - before)
        x = x + (later - t) / (1 - t) * (ahead - x)
        before, length_before = found, length
    return found


def _signal_to_noise(t: float) -> float:
    """Logarithm of signal over noise."""
    return math.log(t / (1 - t)) if t > 0 else -math.inf
