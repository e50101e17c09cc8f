"""What the reference lists is what the code has: codes, functions, settings, statuses, files."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from flowengine.access import roles
from flowengine.api.edge.problem_table import PROBLEM_KINDS
from flowengine.execution import error_codes
from flowengine.execution.status import EXECUTION_STATUSES, EXECUTION_STEPS, NODE_STATUSES, NODE_STEPS
from flowengine.execution.views.node_kinds import NODE_KINDS
from flowengine.handlers.builtin.transform import TransformType
from flowengine.settings.table import BY_NAME, READ_ELSEWHERE
from flowengine.template.functions.all_filters import FILTERS
from flowengine.template.functions.calls import FUNCTIONS
from flowengine.template.functions.predicates import TESTS
from tests.e2e.docs.markdown_files import ALL, README, TOPICS, MarkdownFile, code_of
from tests.support.rigs.stack_processes import ROOT

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
    assert listed == [(kind.status, code, kind.title) for code, kind in PROBLEM_KINDS.items()]


def test_roles_are_all_listed() -> None:
    """The table is made from that of the code: `flowengine.access.roles.markdown()`."""
    assert TOPICS["api"].marked("roles") == roles.markdown()


def test_statuses_and_kinds_of_nodes_are_all_listed() -> None:
    """Those of executions, then those of nodes, as far as a step leads to them; then the kinds."""
    section = TOPICS["api"].text.split("## Status")[1].split("\n## ")[0]
    listed = re.findall(r"^\| `(\w+)` \| (.+) \|$", section, re.MULTILINE)
    executions = {"pending"} | {after for steps in EXECUTION_STEPS.values() for after in steps.values()}
    nodes = {"pending", "running"} | {after for steps in NODE_STEPS.values() for after in steps.values()}
    assert listed == [
        *((status, sentence) for status, sentence in EXECUTION_STATUSES.items() if status in executions),
        *((status, sentence) for status, sentence in NODE_STATUSES.items() if status in nodes),
        *NODE_KINDS.items(),
    ]


def test_filters_and_tests_of_templates_are_all_listed() -> None:
    """In the first column, with functions among the filters; `test_reference_examples` runs the others."""
    for mark, known in (("template-functions", FILTERS | FUNCTIONS), ("template-tests", TESTS)):
        listed = code_of(row[0] for row in TOPICS["templates"].rows(mark))
        assert sorted(set(listed)) == sorted(known)


def test_types_of_transform_are_all_listed() -> None:
    """The first column has each once."""
    rows = TOPICS["handlers"].rows("transform-types")
    assert sorted(code_of(row[0] for row in rows)) == sorted(get_args(TransformType))


def test_error_codes_of_nodes_are_all_listed() -> None:
    """The table is made from that of the code: `flowengine.execution.error_codes.markdown()`."""
    text = TOPICS["errors"].text.split("<!-- error-codes -->\n")[1].split("<!-- /error-codes -->")[0]
    assert text == error_codes.markdown()


def test_codes_of_problems_are_in_the_code() -> None:
    """None is listed that nothing raises."""
    section = TOPICS["document"].text.split("## Checking")[1].split("\n## ")[0]
    problems = [
        code for row in re.findall(r"^\| (`.+?) \|", section, re.MULTILINE) for code in code_of([row])
    ]
    assert len(problems) > 30
    assert [code for code in problems if not quoted(code)] == []


@pytest.mark.parametrize("file", ALL, ids=[file.name for file in ALL])
def test_settings_that_are_named_exist(file: MarkdownFile) -> None:
    """A setting that was renamed or taken away is named nowhere; secrets have their own names."""
    known = {*BY_NAME, *READ_ELSEWHERE, "FLOWENGINE_MAX", "FLOWENGINE_TEST_SERVER"}
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
