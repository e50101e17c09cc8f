"""Two linters of OpenAPI documents, by other people, have no complaint: not even a hint."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.rigs.stack_processes import Stack

SPECTRAL = ("@stoplight/spectral-cli@6.16.3", "spectral")
REDOCLY = ("@redocly/cli@2.77.0", "redocly")
FETCHED_WITHIN_S = 100
QUIET = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true", "CI": "1"}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("npx") is None, reason="npx, which runs the linters, is not installed"),
]


@pytest.fixture
def folder(stack: Stack, tmp_path: Path) -> Path:
    """Holds the document as the API serves it, and what the linters are told."""
    (tmp_path / "openapi.json").write_bytes(stack.client.get("/openapi.json").content)
    (tmp_path / "rules.json").write_text(json.dumps({"extends": [["spectral:oas", "recommended"]]}))
    return tmp_path


def lint(folder: Path, tool: tuple[str, str], *options: str) -> str:
    """What the linter prints; skips the test where the linter cannot be fetched."""
    package, command = tool
    start = ["npx", "--yes", "--package", package, "--", command]
    environment = {**os.environ, **QUIET}
    try:
        subprocess.run(
            [*start, "--version"], cwd=folder, env=environment, timeout=FETCHED_WITHIN_S, check=True
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        pytest.skip(f"{package} cannot be fetched here")
    argv = [*start, "lint", *options]
    return subprocess.run(
        argv, cwd=folder, env=environment, capture_output=True, text=True, timeout=200
    ).stdout


@pytest.mark.timeout(240)
def test_spectral_has_no_complaint(folder: Path) -> None:
    """Its recommended rules for OpenAPI."""
    printed = lint(folder, SPECTRAL, "--ruleset", "rules.json", "--format", "json", "openapi.json")
    found = json.loads(printed[printed.index("[") : printed.rindex("]") + 1])
    assert [(item["code"], item["path"]) for item in found] == []


@pytest.mark.timeout(240)
def test_redocly_has_no_complaint(folder: Path) -> None:
    """Its recommended rules, which look at examples, names, links and alternatives.

    But for one: `/workflows/bulk/{id}` stands beside `/workflows/{id}/...`, and no execution's id is `bulk`.
    """
    rules = ("--extends", "recommended", "--skip-rule", "no-ambiguous-paths")
    printed = lint(folder, REDOCLY, *rules, "--format", "json", "openapi.json")
    found = json.loads(printed[printed.index("{") :])
    assert found["totals"] == {"errors": 0, "warnings": 0, "ignored": 0}, found["problems"]
