"""`ray up` must accept the cluster's description, and it must be what the docs promise."""

from pathlib import Path

import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

CLUSTER = yaml.safe_load((Path(__file__).parents[1] / "cluster.yaml").read_text())


def test_ray_accepts_it() -> None:
    validate_config(prepare_config(CLUSTER))


def test_the_head_has_no_gpu_and_gpu_workers_scale_from_zero() -> None:
    nodes = CLUSTER["available_node_types"]
    assert "GPU" not in nodes[CLUSTER["head_node_type"]]["resources"]
    gpu = [node for node in nodes.values() if node["resources"].get("GPU")]
    assert gpu
    assert all(node["min_workers"] == 0 < node["max_workers"] for node in gpu)
    assert set(nodes["physics_worker"]["resources"]) == {"CPU"}


def test_nothing_listens_to_strangers() -> None:
    for key in ("head_start_ray_commands", "worker_start_ray_commands"):
        commands = " ".join(CLUSTER[key])
        assert "0.0.0.0" not in commands
        assert "RAY_AUTH_MODE=token" in commands
    assert any(path.endswith(".ray/auth_token") for path in CLUSTER["file_mounts"])
