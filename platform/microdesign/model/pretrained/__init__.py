"""The model that the package brings: an encoder and a decoder of two-phase images, without properties.

`README.md` beside the weights says what they were trained on, how, and how good they are.
"""

from pathlib import Path

FOLDER = Path(__file__).parent
"""The model's bundle."""
