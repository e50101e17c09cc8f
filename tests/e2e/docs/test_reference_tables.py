"""What the reference lists is what the code has: codes, functions, settings, statuses, files."""

from __future__ import annotations

import re
from typing import get_args

import pytest
from flowengine.handlers.builtin.transform_types import TRANSFORMS
from flowengine.template.functions.tests import TESTS

from flowengine.api.edge.problem_documents import KINDS
from flowengine.execution.records import ExecutionStatus, NodeStatus
from flowengine.settings.table import BY_NAME, READ_ELSEWHERE
from flowengine.template.functions.filters import FILTERS
from tests.e2e.docs.markdown_files import ALL, README, TOPICS, MarkdownFile, code_of
from tests.support.stack_processes import ROOT

SETTING = re.compile(r"\b(?:FLOWENGINE|LLM)_[A-Z_]+[A-Z]\b")
SOURCES = "\n".join(path.read_text() for path in sorted((ROOT / "flowengine").rglob("*.py")))


def quoted(code: str) -> bool:
    """Whether the code's source has this text."""
    return f'"{code}"' in SOURCES


def test_refusals_of_the_api_are_all_listed() -> None:
    """Status, code and title of every kind of problem document."""
    listed = [
        (int(status), *code_of([code]), title) for status, code, title in TOPICS["api"].rows("problem-kinds")
    ]
    assert listed == [(kind.status, code, kind.title) for code, kind in KINDS.items()]


def test_statuses_are_all_listed() -> None:
    """Those of executions, then those of nodes."""
    section = TOPICS["api"].text.split("## Status")[1].split("\n## ")[0]
    listed = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert listed == [*get_args(ExecutionStatus), *get_args(NodeStatus)]


def test_filters_and_tests_of_templates_are_all_listed() -> None:
    """Each once; `is defined` is an example in a header."""
    rows = TOPICS["templates"].rows("template-functions")
    listed = [code for row in rows for code in code_of(row)]
    assert sorted(listed) == sorted([*FILTERS, *TESTS])


def test_types_of_transform_are_all_listed() -> None:
    """The first column has each once."""
    rows = TOPICS["handlers"].rows("transform-types")
    assert sorted(code_of(row[0] for row in rows)) == sorted(TRANSFORMS)


def test_codes_of_problems_and_errors_are_in_the_code() -> None:
    """None is listed that nothing raises."""
    section = TOPICS["document"].text.split("## Checking")[1].split("\n## ")[0]
    problems = [
        code for row in re.findall(r"^\| (`.+?) \|", section, re.MULTILINE) for code in code_of([row])
    ]
    errors = [code for row in TOPICS["errors"].rows("error-codes") for code in code_of(row[:1])]
    assert len(problems) > 30
    assert len(errors) > 30
    assert [code for code in (*problems, *errors) if not quoted(code)] == []


@pytest.mark.parametrize("file", ALL, ids=[file.name for file in ALL])
def test_settings_that_are_named_exist(file: MarkdownFile) -> None:
    """A setting that was renamed or taken away is named nowhere; secrets have names of their own."""
    known = {*BY_NAME, *READ_ELSEWHERE, "FLOWENGINE_MAX"}
    named = {name for name in SETTING.findall(file.text) if not name.startswith("FLOWENGINE_SECRET_")}
    assert named - known == set()


def test_every_limit_that_is_a_setting_is_in_the_page_on_limits() -> None:
    """And the page names what is kept for how long."""
    limits = {name for name in BY_NAME if name.startswith("FLOWENGINE_MAX_")}
    assert limits | {"FLOWENGINE_RETENTION_SECONDS"} <= set(SETTING.findall(TOPICS["limits"].text))


def test_files_that_are_named_exist() -> None:
    """The page for contributors leads to files and folders that there are."""
    named = {code for code in TOPICS["contributing"].inline if re.match(r"(flowengine|tests)/", code)}
    assert len(named) > 20
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_files_that_readme_names_exist_or_are_made_there() -> None:
    """Folders and files between backquotes."""
    named = {code for code in README.inline if re.fullmatch(r"[\w.-]+(/|\.yaml)", code)}
    assert [name for name in named - {"greeting.yaml"} if not (ROOT / name).exists()] == []
