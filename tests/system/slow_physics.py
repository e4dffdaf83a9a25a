"""An evaluator for the crash test: the built-in solver, slowed down, that notes each image and its discretization."""

import hashlib
import os
import time
from pathlib import Path

import numpy as np

from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.evaluators.protocol import Values
from microdesign.physics.materials import Materials


class SlowPhysics(FFTEvaluator):
    def evaluate(self, images: np.ndarray, materials: Materials) -> Values:
        time.sleep(0.15 * len(images))
        values = super().evaluate(images, materials)
        for image in images:
            # One file per call: appends from several workers would mix.
            name = f"{hashlib.sha256(image.tobytes()).hexdigest()}-{self.discretization}-{time.time_ns()}"
            (Path(os.environ["EVALUATED"]) / name).touch()
        return values
