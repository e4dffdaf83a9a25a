"""Where the result of an experiment goes: JSON, Markdown and CSV in its folder, and MLflow."""

import json
import math
from pathlib import Path

from microdesign.core.config import dump_yaml
from microdesign.core.files import write_json, write_text
from microdesign.experiments.base.config import ExperimentConfig
from microdesign.experiments.base.result import ExperimentResult
from microdesign.tracking import Recorder


def save_result(result: ExperimentResult, config: ExperimentConfig, folder: Path, run: Recorder) -> None:
    """Writes `WHAT.json`, `WHAT.md`, a CSV file for each table and `config.yaml`; logs them and the figures to MLflow.

    `WHAT.json` is written last: where it exists, the other files do too.
    """
    texts = {"config.yaml": dump_yaml(config), f"{config.what}.md": result.markdown()}
    texts |= {f"{name}.csv": table.csv() for name, table in result.tables.items()}
    for file, text in texts.items():
        write_text(folder / file, text)
    run.log_tags(result.tags)
    run.log_metrics({name: value for name, value in result.metrics.items() if math.isfinite(value)})
    document = f"{config.what}.json"
    write_json(folder / document, json.loads(result.model_dump_json()))
    for file in (*texts, document, *result.figures.values()):
        run.log_file(folder / file)
