"""Where the networks compute in bfloat16: on devices that have it in hardware."""

import torch


def mixed_precision(device: torch.device, wanted: bool = True) -> torch.autocast:
    """A context in which networks compute in bfloat16, or in float32 where that is faster or `wanted` is false.

    Without instructions for bfloat16 torch computes its convolutions by loops, and a training step takes seven times
    as long as in float32: see `benchmarks/learning.md`.

    Example:
        >>> layer, x = torch.nn.Linear(4, 2), torch.zeros(1, 4)
        >>> with mixed_precision(x.device, wanted=False):
        ...     layer(x).dtype
        torch.float32
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=wanted and has_bf16(device))


def has_bf16(device: torch.device) -> bool:
    """Whether a device computes bfloat16 in hardware: GPUs, and processors with AVX512-BF16."""
    return device.type == "cuda" or (device.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported()))
