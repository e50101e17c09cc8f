"""The files of a new project: what they say. Whether they may be written is not decided here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from flowengine import __version__

USUAL_NAME: Final = "workflows"
_NO_NAME: Final = re.compile(r"[^a-z0-9]+")
_LONGEST_NAME: Final = 60


def project_name(folder: str) -> str:
    """The project's name, as pyproject.toml wants it, made of the folder's."""
    return _NO_NAME.sub("-", folder.lower()).strip("-")[:_LONGEST_NAME].strip("-") or USUAL_NAME


def project_files(name: str) -> Mapping[str, str]:
    """Each file's text by its path, in the order in which they are told."""
    major, minor = __version__.split(".")[:2]
    return {
        path: text.replace("PROJECT", name).replace("VERSION", f"{major}.{minor}")
        for path, text in _FILES.items()
    }


_WORKFLOW: Final = """\
# yaml-language-server: $schema=http://127.0.0.1:8000/docs/workflow.schema.json
# Greets people by name, and counts them.
#
#   flowengine run workflows/greeting.yaml --input names='["Ada", "Alan"]'

name: greeting
description: Greets people by name.
inputs:
  names: {type: array, items: {type: string, minLength: 1}, maxItems: 100, default: [world]}
schedules:
  # Once the workflow is applied: `flowengine dev` and `flowengine apply` do it.
  - id: mornings
    cron: "0 7 * * *"
    timezone: Europe/Berlin
nodes:
  # The handler of my_handlers.py, once for each name.
  - id: greet
    map: {items: "{{ inputs.names }}"}
    handler: greet
    config: {name: "{{ item }}"}

  - id: report
    handler: set
    config:
      greetings: "{{ greet.result }}"
      people: "{{ greet.result | length }}"
    dependencies: [greet]
outputs:
  greetings: "{{ report.result.greetings }}"
  people: "{{ report.result.people }}"
"""

_HANDLERS: Final = '''\
"""Handlers of this project: functions that nodes call by name."""

import msgspec
from flowengine.plugin import Context, handler


class Greet(msgspec.Struct):
    """What a node that greets says in its config. A workflow with another config is refused."""

    name: str


@handler("greet")
def greet(config: Greet, context: Context) -> dict[str, str]:
    """Greets someone."""
    context.logger.info("greet.said", name=config.name)
    return {"result": f"Hello, {config.name}!"}
'''

_TESTS: Final = '''\
"""The handlers by themselves, and the workflows as a whole, without a server."""

from pathlib import Path

import my_handlers
from flowengine.testing import context, run
from my_handlers import Greet, greet

WORKFLOWS = Path(__file__).parents[1] / "workflows"


def test_greeting_has_the_name():
    assert greet(Greet(name="Ada"), context()) == {"result": "Hello, Ada!"}


def test_everybody_is_greeted():
    names = {"names": ["Ada", "Alan"]}
    ended = run(WORKFLOWS / "greeting.yaml", names, real=["greet"], handlers=[my_handlers])
    assert ended.status == "completed"
    assert ended.outputs["greetings"] == ["Hello, Ada!", "Hello, Alan!"]
'''

_CASES: Final = """\
# yaml-language-server: $schema=http://127.0.0.1:8000/docs/tests.schema.json
# Run them:  flowengine test workflows
workflow: greeting.yaml
tests:
  - name: everybody is greeted
    inputs: {names: [Ada, Alan]}
    mocks:
      greet: {items: {"0": {result: Hello}, "1": {result: Good day}}}
    expect:
      outputs: {greetings: [Hello, Good day], people: 2}
      calls: {greet: {count: 2}}
"""

_PYPROJECT: Final = """\
[project]
name = "PROJECT"
version = "0.1.0"
description = "Workflows for FlowEngine, and the handlers that they use."
requires-python = ">=3.11"
dependencies = ["flowengine[embedded]>=VERSION"]

[dependency-groups]
dev = ["pytest>=8"]

[tool.pytest.ini_options]
testpaths = ["tests"]
pythonpath = ["."]

[tool.uv]
package = false
"""

_ENV: Final = """\
# Settings of FlowEngine on this machine. All of them: flowengine help settings
# A workflow reads FLOWENGINE_SECRET_API_TOKEN as {{ secrets.API_TOKEN }}.
FLOWENGINE_HANDLERS=my_handlers
"""

_CI: Final = """\
name: CI
on: [push, pull_request]
permissions:
  contents: read
jobs:
  check:
    runs-on: ubuntu-latest
    env:
      FLOWENGINE_HANDLERS: my_handlers
    steps:
      - uses: actions/checkout@v4
      - uses: astral-sh/setup-uv@v6
      - run: uv sync
      - run: uv run flowengine validate workflows --format github
      - run: uv run flowengine fmt --check workflows
      - run: uv run flowengine test workflows
      - run: uv run pytest
"""

_IGNORED: Final = """\
.env
.venv/
__pycache__/
.pytest_cache/
.flowengine.schema.json
"""

_README: Final = """\
# PROJECT

Workflows for FlowEngine. They are in `workflows/`, the handlers that they call in `my_handlers.py`.

    uv sync
    uv run flowengine run workflows/greeting.yaml     # one workflow, to its end
    uv run flowengine dev                             # the whole stack; applies what you save
    uv run flowengine validate workflows              # what CI checks
    uv run flowengine test workflows                  # tests of workflows, in files beside them
    uv run pytest

While `flowengine dev` runs, an editor that reads the first line of a workflow completes its fields.
Settings and secrets of your machine are in `.env`, which git does not see.
In a new clone: `cp .env.example .env`.
`uv run flowengine help` lists the topics of the reference.
"""

_FILES: Final[Mapping[str, str]] = {
    "workflows/greeting.yaml": _WORKFLOW,
    "workflows/greeting.test.yaml": _CASES,
    "my_handlers.py": _HANDLERS,
    "tests/test_greeting.py": _TESTS,
    "pyproject.toml": _PYPROJECT,
    ".env.example": _ENV,
    ".env": _ENV,
    ".gitignore": _IGNORED,
    ".github/workflows/ci.yml": _CI,
    "README.md": _README,
}
