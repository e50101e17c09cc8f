"""Problems of workflow files in the forms that other programs read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeAlias
from urllib.parse import quote

from flowengine import __version__
from flowengine.jsonvalue import JsonValue
from flowengine.plaintext import plain_text
from flowengine.workflow.problems import Problem

SARIF_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
LEVELS: Final = ("error", "warning")

Level: TypeAlias = Literal["error", "warning"]


class Told(NamedTuple):
    """A problem of a file, and how bad it is."""

    path: Path
    level: Level
    problem: Problem


def github_lines(told: Iterable[Told]) -> Iterator[str]:
    """Commands of a workflow of GitHub Actions, which shows them beside the lines of a pull request."""
    for path, level, problem in told:
        place = f"file={_property(str(path))},line={problem.line or 1},col={problem.column or 1}"
        yield f"::{level} {place},title={_property(problem.code)}::{_data(problem.message)}"


def sarif(told: Sequence[Told]) -> JsonValue:
    """A log in SARIF 2.1.0, as code scanning takes it."""
    rules: list[JsonValue] = [{"id": code} for code in sorted({each.problem.code for each in told})]
    results: list[JsonValue] = [_result(each) for each in told]
    driver: JsonValue = {"name": "flowengine", "version": __version__, "rules": rules}
    return {
        "$schema": SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    }


def _result(told: Told) -> JsonValue:
    problem = told.problem
    region: JsonValue = {"startLine": problem.line or 1, "startColumn": problem.column or 1}
    artifact: JsonValue = {"uri": quote(os.fsencode(told.path.as_posix()))}
    return {
        "ruleId": problem.code,
        "level": told.level,
        "message": {"text": plain_text(problem.message)},
        "locations": [{"physicalLocation": {"artifactLocation": artifact, "region": region}}],
    }


def _data(text: str) -> str:
    return plain_text(text).replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
