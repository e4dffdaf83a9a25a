"""The probability flow of a denoiser, from noise to an image, in few steps.

Source: C. Lu, Y. Zhou, F. Bao, J. Chen, C. Li, J. Zhu, "DPM-Solver++: fast solver for guided sampling of diffusion
probabilistic models", arXiv:2211.01095 (2022): the multistep solver of second order (2M), here for
x_t = t x + (1 - t) noise.

Shapes: B batch, C channels, `*N` image axes.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

from torch import Tensor

Clean = Callable[[Tensor, float], Tensor]


def probability_flow(clean: Clean, x: Tensor, times: Sequence[float]) -> Tensor:
    """Follows the flow and returns x_t at the last time, `(B, C, *N)`; at time 1 that is the last estimate.

    A step from t to t' with the estimate x of the clean image goes to x_t + (t' - t) (x - x_t) / (1 - t), which is
    exact for an estimate that does not change. It does, and so the estimate is extrapolated to the middle of the step,
    in the logarithm of signal over noise, from this one and the one before: second order for no more evaluations.

    Args:
        clean: Estimates the clean image, -1 where a phase is not and 1 where it is, from x_t and t.
        x: x_t at the first time, `(B, C, *N)`.
        times: Increasing, from 0 or more to 1 at most.
    """
    before: Tensor | None = None
    length_before = math.inf
    for t, later in pairwise(times):
        found = ahead = clean(x, t)
        length = _signal_to_noise(later) - _signal_to_noise(t)
        if before is not None and math.isfinite(length_before) and math.isfinite(length):
            ahead = found + 0.5 * length / length_before * (found - before)
        x = x + (later - t) / (1 - t) * (ahead - x)
        before, length_before = found, length
    return x


def restarted_flow(clean: Clean, x: Tensor, times: Sequence[float], noises: Iterable[Tensor]) -> Tensor:
    """Follows the flow over some times again and again: x_t at the last of them, `(B, C, *N)`.

    After each pass x_t takes as much noise as leads back to the first time. What a pass did wrong is so forgotten by
    and by, while a single one keeps it: the passes come to the data's own distribution of x_t.

    Source: Y. Xu, M. Deng, X. Cheng, Y. Tian, Z. Liu, T. Jaakkola, "Restart sampling for improving generative
    processes", NeurIPS 2023, arXiv:2306.14878, here for x_t = t x + (1 - t) noise.

    Args:
        clean, x, times: As of `probability_flow`; the last time is less than 1.
        noises: Unit white noise of each further pass, `(B, C, *N)`.
    """
    first, last = times[0], times[-1]
    x = probability_flow(clean, x, times)
    kept = first / last
    added = math.sqrt((1 - first) ** 2 - (kept * (1 - last)) ** 2)
    for noise in noises:
        x = probability_flow(clean, kept * x + added * noise, times)
    return x


def _signal_to_noise(t: float) -> float:
    """Logarithm of signal over noise."""
    if t in (0, 1):
        return math.inf if t else -math.inf
    return math.log(t / (1 - t))
