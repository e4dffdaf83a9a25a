"""What a command imports before it answers: help, mistakes and bad configs bring no heavy library."""

import json
import subprocess
import sys
from pathlib import Path

HEAVY = ("torch", "ray", "mlflow", "botorch", "scipy", "matplotlib", "numba")
COMMANDS = {
    "help": ["--help"],
    "help of a command": ["homogenize", "--help"],
    "a typo": ["trian"],
    "generate": ["data", "generate", "out", "--set", "colour=red"],
    "label": ["data", "label", "in", "out", "--materials", "job.yaml"],
    "train": ["train", "job.yaml"],
    "sweep": ["sweep", "job.yaml"],
    "design": ["design", "job.yaml"],
    "evaluate": ["evaluate", "job.yaml"],
    "evaluate inverse": ["evaluate", "job.yaml", "--what", "inverse"],
    "demo": ["demo", "--set", "colour=red"],
    "config": ["config", "init", "train"],
}
CODE = """
import json, sys
from microdesign.cli.main import main
commands, heavy = json.loads(sys.argv[1])
found = {}
for name, words in commands.items():
    sys.argv = ["microdesign", *words]
    try:
        main()
    except SystemExit as end:
        code = end.code or 0
    found[name] = [code, sorted(set(heavy) & set(sys.modules))]
sys.stdout = sys.__stdout__
print("\\n" + json.dumps(found))
"""


def test_answers_that_need_no_computation_import_no_heavy_library(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text("colour: red\n")
    line = [sys.executable, "-c", CODE, json.dumps([COMMANDS, HEAVY])]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert {name: libraries for name, (_, libraries) in found.items() if libraries} == {}
    assert {name: code for name, (code, _) in found.items()} == {
        name: 0 if name.startswith(("help", "config")) else 2 for name in COMMANDS
    }
