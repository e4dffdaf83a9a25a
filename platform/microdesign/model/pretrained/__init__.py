"""The model that the package brings: an encoder and a decoder of two-phase images, without properties.

`README.md` beside the weights says what they were trained on, how, and how good they are.
"""

from pathlib import Path

from microdesign.core.references import PRETRAINED
from microdesign.model.bundle import Bundle, load_bundle

FOLDER = Path(__file__).parent
"""The model's bundle."""


def start_bundle(start: str) -> Bundle:
    """Loads the bundle that training starts from: a folder's, or the package's own (`pretrained`).

    Raises:
        InputError: There is no such bundle, or it is damaged.
    """
    return load_bundle(FOLDER if start == PRETRAINED else start)
