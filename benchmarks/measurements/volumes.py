"""Draws of a model of volumes beside held-out volumes of the same families, and beside cut random fields."""

import time
from collections.abc import Iterator

import numpy as np
import torch

import microdesign as md
from microdesign.learning.models import load
from microdesign.microstructure.data.indicators import probabilities
from microdesign.microstructure.statistics.population import Population
from microdesign.model.binarization import binarize, with_fractions
from microdesign.surrogate.local import LocalSurrogate

_CUT = ("GRF", "Spinodal", "FilteredNoise")
FAMILIES = (*_CUT, "VoidSmall", "VoidSmallBig", "VoronoiMedium", "VoronoiMediumSpaced", "VoronoiLarge")
PHASES = [{"E": 1, "nu": 0.3, "k": 1}, {"E": 10, "nu": 0.3, "k": 10}]


def compare(model: str, size: int, population: int, count: int, seed: int) -> Iterator[str]:
    """Yields the lines of the table: medians, and shares within 1."""
    surrogate = load(model)
    assert isinstance(surrogate, LocalSurrogate)
    kinds = "".join(f"{kind:>16}" for kind in ("held out", "draws", "drafts"))
    yield f"{'distance, share within 1':24}{kinds}{'properties':>12}{'s a draw':>10}"
    whole: list[list[np.ndarray]] = [[], [], []]
    for family in FAMILIES:
        volumes = md.generate(family, population + count, (size,) * 3, seed=seed).labels
        volumes = volumes[np.ptp(volumes, axis=(1, 2, 3)) > 0]
        like, members = volumes[:count], volumes[count:]
        begun = time.perf_counter()
        draws = md.draw(surrogate, like=like, size=size, seed=seed).labels
        seconds = (time.perf_counter() - begun) / len(like)
        measured = Population.fit(members)
        distances = [measured.distance(each) for each in (like, draws, drafts(surrogate, like, seed))]
        for all_of_kind, each in zip(whole, distances, strict=True):
            all_of_kind.append(each)
        cells = "".join(f"{_cell(each):>16}" for each in distances)
        yield f"{family:24}{cells}{np.median(property_errors(like, draws)):12.1%}{seconds:10.2f}"
    yield f"{'all':24}" + "".join(f"{_cell(np.concatenate(each)):>16}" for each in whole)


@torch.inference_mode()
def drafts(surrogate: LocalSurrogate, like: np.ndarray, seed: int) -> np.ndarray:
    """The cut random fields of the latents of volumes, with the volumes' fractions."""
    mean, _ = surrogate.encode(like)
    z = torch.from_numpy(mean.astype(np.float32))
    decoder = surrogate.bundle.model.decoder
    soft = probabilities(decoder.draft(z, like.shape[1:], list(range(seed, seed + len(z)))))
    fractions = torch.from_numpy(like.mean((1, 2, 3), dtype=np.float32))[:, None]
    return binarize(with_fractions(soft, fractions)).numpy()


def property_errors(volumes: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Relative error of the worst of Ex, Ey and kx of each draw."""
    given, found = (md.homogenize(each, PHASES, dims=3) for each in (volumes, draws))
    return np.max([np.abs(np.asarray(found[name]) / given[name] - 1) for name in ("Ex", "Ey", "kx")], axis=0)


def _cell(distances: np.ndarray) -> str:
    return f"{np.median(distances):.2f}, {(distances <= 1).mean():.0%}"
