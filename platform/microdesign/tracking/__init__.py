"""MLflow, and the only package that imports it: runs, their record beside the work, the registry of model bundles."""

from microdesign.tracking.connection import check_reachable, default_uri
from microdesign.tracking.recorder import Recorder, complete_record, recorded
from microdesign.tracking.registry import (
    BUNDLE_ARTIFACT,
    CHALLENGER,
    CHAMPION,
    Version,
    download_bundle,
    find_version,
    make_champion,
    register_bundle,
)
from microdesign.tracking.runs import Run, continued, start_run

__all__ = [
    "BUNDLE_ARTIFACT",
    "CHALLENGER",
    "CHAMPION",
    "Recorder",
    "Run",
    "Version",
    "check_reachable",
    "complete_record",
    "continued",
    "default_uri",
    "download_bundle",
    "find_version",
    "make_champion",
    "recorded",
    "register_bundle",
    "start_run",
]
