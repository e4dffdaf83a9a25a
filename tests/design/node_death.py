"""A campaign on a cluster of two workers' nodes, of which one is killed on the way: `python node_death.py FOLDER`.

Prints the states and attempts of its trials as JSON.
"""

import hashlib
import json
import sys
import threading
import time
from pathlib import Path

import numpy as np
import ray
from ray.cluster_utils import Cluster
from small_model import MATERIALS, small_surrogate

from microdesign.design.campaign.campaign_config import CampaignConfig
from microdesign.design.campaign.engine import run_campaign
from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.evaluators.protocol import Values
from microdesign.physics.materials import Materials

MARKS = Path(sys.argv[1]) / "marks"
"""A file for each node, made when it begins its first evaluation."""
BEGUN = Path(sys.argv[1]) / "begun"
"""A file for each evaluation that began, called after its image and discretization."""


class Slow(FFTEvaluator):
    def evaluate(self, images: np.ndarray, materials: Materials) -> Values:
        mark = MARKS / ray.get_runtime_context().get_node_id()
        if not mark.exists():
            mark.touch()
        image = hashlib.sha256(images.tobytes()).hexdigest()
        (BEGUN / f"{image}-{self.discretization}-{time.time_ns()}").touch()
        time.sleep(1.0 * len(images))
        return super().evaluate(images, materials)


if __name__ == "__main__":
    MARKS.mkdir()
    BEGUN.mkdir()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    ray.init(address=cluster.address, log_to_driver=False)
    config = CampaignConfig.model_validate(
        {
            "target": {"properties": {"Ex": 3.2, "kx": 3.2}, "tolerance": 0.3},
            "folder": str(Path(sys.argv[1]) / "campaign"),
            "samples": 48,
            "screened": 6,
            "per_round": 2,
            "evaluations": 8,
            "goal": 1e-6,
            "refinement": {"pool": 16},
        }
    )

    def kill() -> None:
        """Kills the node that began last, in the middle of its evaluation, once both work."""
        while len(begun := sorted(MARKS.iterdir(), key=lambda mark: mark.stat().st_mtime_ns)) < 2:
            time.sleep(0.05)
        (last,) = (node for node in nodes if node.node_id == begun[-1].name)
        cluster.remove_node(last, allow_graceful=False)

    threading.Thread(target=kill, daemon=True).start()
    answer = run_campaign(config, small_surrogate(), Slow(), MATERIALS)
    trials = [(trial.state, trial.attempts, trial.error) for trial in answer.evaluations]
    (Path(sys.argv[1]) / "trials.json").write_text(json.dumps(trials))  # Ray prints lines of its own
    ray.shutdown()
    cluster.shutdown()
