"""The noise of a material's latents: near as they are, designs are to have arrangements of their own."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from microdesign.design.from_micrograph.draws import encode_windows
from microdesign.model.bundle import DESCRIPTION, Bundle, load_bundle, save_bundle
from microdesign.model.networks.local_global_decoder import LocalGlobalDecoder
from microdesign.surrogate.local import LocalSurrogate


def with_noise_of_its_own(fine_tuned: Path, windows: NDArray[np.uint8]) -> Path:
    """Spreads the noise of a fine-tuned model over the latents of its windows; returns the new bundle's folder.

    The model learned from many materials, among which the latents of one are neighbours and select nearly one noise. A
    campaign, which draws each latent once, would find the same arrangement again and again.

    Args:
        fine_tuned: Folder of the model's bundle.
        windows: Windows of the micrograph, uint8 `(m, N, N)`.
    """
    folder = fine_tuned.with_name("bundle-own-noise")
    if not (folder / DESCRIPTION).is_file():
        bundle = load_bundle(fine_tuned)
        _spread(bundle, windows)
        save_bundle(folder, bundle.model.half(), bundle.description)
    return folder


def _spread(bundle: Bundle, windows: NDArray[np.uint8]) -> None:
    mean, std = encode_windows(LocalSurrogate(bundle), windows)
    spread = np.sqrt(mean.var(0) + np.square(std).mean(0))
    decoder = bundle.model.decoder
    assert isinstance(decoder, LocalGlobalDecoder)
    decoder.spread_noise(*(torch.from_numpy(each.astype(np.float32)) for each in (mean.mean(0), spread)))
