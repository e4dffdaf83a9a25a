"""A picture of what thresholds make of grey images: the image, its phases, and the histogram with the thresholds."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from microdesign.core.errors import InputError
from microdesign.core.files import replacing
from microdesign.microstructure.drawing import draw
from microdesign.microstructure.io.thresholds import Segmentation

_SOURCES = 8
_PIXELS = 512
_COLUMN_INCHES = 3.6


class _Row(NamedTuple):
    source: str
    grey: NDArray
    segmentation: Segmentation


class SegmentationPreview:
    """Collects the first image of each of up to eight sources as they are read, then draws them.

    An instance is the `on_segmented` of `ReadOptions`.
    """

    def __init__(self) -> None:
        self._rows: list[_Row] = []

    def __call__(self, source: str, image: NDArray, segmentation: Segmentation) -> None:
        """Takes the grey levels `(X, Y)` of a source, or `(X, Y, Z)`, of which the middle section is drawn."""
        if len(self._rows) < _SOURCES:
            section = image if image.ndim == 2 else image[..., image.shape[2] // 2]
            step = max(1, -(-max(section.shape) // _PIXELS))
            self._rows.append(_Row(source, section[::step, ::step].copy(), segmentation))

    def write(self, path: str | Path) -> None:
        """Writes a PNG with a row for each source, nothing where none was segmented.

        Raises:
            InputError: The suffix is not `.png`.
            StorageError: The file cannot be written.
        """
        check_png(path)
        if not self._rows:
            return
        from matplotlib.figure import Figure  # drawing takes a second to import, and is seldom asked for

        figure = Figure(figsize=(3 * _COLUMN_INCHES, _COLUMN_INCHES * len(self._rows)), layout="constrained", dpi=120)
        for axes, row in zip(figure.subplots(len(self._rows), 3, squeeze=False), self._rows, strict=True):
            # As in `drawing`: x to the right, y up.
            axes[0].imshow(np.flipud(row.grey.T), cmap="gray", interpolation="nearest")
            axes[0].set_axis_off()
            axes[0].set_title(Path(row.source).name, fontsize=9)
            found = row.segmentation
            draw(axes[1], found.labels(row.grey), found.n_phases, _legend(found))
            low, high = found.levels[0], found.levels[-1]
            fewer, edges = np.histogram(found.levels, min(len(found.levels), 256), weights=found.counts)
            axes[2].stairs(fewer, edges, fill=True, color="0.6")
            for threshold in found.thresholds:
                axes[2].axvline(threshold, color="tab:red")
                axes[2].text(threshold, 1.01, f"{threshold:g}", transform=axes[2].get_xaxis_transform(), fontsize=8)
            axes[2].set(xlim=(low, high), xlabel="grey level", ylabel="pixels", yticks=[])
        with replacing(path) as temporary:
            figure.savefig(temporary, format="png")


def check_png(path: str | Path) -> None:
    """Refuses a file with another suffix than `.png`.

    Raises:
        InputError: It has.
    """
    if Path(path).suffix.lower() != ".png":
        raise InputError(f"--preview {path}: expected a file with the suffix .png.")


def _legend(found: Segmentation) -> str:
    shares = ", ".join(f"{phase}: {share:.1%}" for phase, share in enumerate(found.shares))
    return f"phases, 0 light ({shares})"
