"""The models that the package brings: encoders and decoders of two-phase images and volumes, without properties.

`README.md` beside the weights says what they were trained on, how, and how good they are.
"""

from collections.abc import Mapping
from pathlib import Path

from microdesign.core.references import PRETRAINED, PRETRAINED_VOLUMES
from microdesign.model.bundle import Bundle, load_bundle

FOLDER = Path(__file__).parent
"""The bundle of the model of images."""
FOLDERS: Mapping[str, Path] = {PRETRAINED: FOLDER, PRETRAINED_VOLUMES: FOLDER / "volumes"}
"""The bundles by the names of their models."""


def start_bundle(start: str) -> Bundle:
    """Loads the bundle that training starts from: a folder's, or one of the package's own by its name.

    Raises:
        InputError: There is no such bundle, or it is damaged.
    """
    return load_bundle(FOLDERS.get(start, start))
