"""README and the reference as a whole: every link leads somewhere, every command is run by a test."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from flowengine.cli.commands import help as help_command
from tests.e2e.docs.markdown_files import ALL, README, TOPICS, MarkdownFile
from tests.support.rigs.stack_processes import ROOT

LANGUAGES = {"console", "yaml", "json", "python", "toml"}
STORY = "test_workflow_is_written_checked_run_served_triggered_and_retried"
SERVICES = "test_three_services_run_as_they_are_started"
BACKUP = "test_backup_made_while_everything_runs_can_be_restored"
RIGHTS = "test_user_with_the_rights_of_the_page_runs_the_services"
DAY = "test_day_on_call_can_be_walked"
SCHEDULED = "test_schedule_is_applied_paused_resumed_triggered_and_comes_by_itself"
APPLIED = "test_folder_is_applied_and_a_definition_is_started"
FIRST_STEPS = "test_newcomer_comes_from_an_empty_folder_to_a_schedule"
RUN_BY = {
    "flowengine run workflows/linear_dag.yaml": "test_first_command_runs_a_workflow_to_its_end",
    "flowengine run greeting.yaml": STORY,
    "flowengine run workflows/parameters.yaml --input day=2026-03-01 --input threshold=60": (
        "test_inputs_are_given_on_the_command_line"
    ),
    "flowengine dev": STORY,
    "flowengine validate greeting.yaml": STORY,
    "flowengine validate workflows/": "test_folder_of_workflows_is_valid",
    "flowengine test": "test_tests_of_the_page_pass",
    "flowengine test --record ID nightly.yaml > nightly.test.yaml": "test_an_execution_is_recorded",
    "flowengine graph workflows/branches.yaml -o branches.svg": "test_workflow_is_drawn",
    "flowengine init greetings": "test_project_is_made",
    "cd greetings": FIRST_STEPS,
    "flowengine validate workflows": FIRST_STEPS,
    "flowengine apply workflows": FIRST_STEPS,
    "flowengine submit greeting --wait": FIRST_STEPS,
    "flowengine import nightly.yaml > workflows/nightly.yaml": "test_workflow_of_another_tool_is_imported",
    "flowengine fmt workflows/": "test_examples_are_in_the_one_layout",
    "flowengine fmt --check workflows/": "test_examples_are_in_the_one_layout",
    "flowengine schema > .flowengine.schema.json": "test_schema_for_editors_holds_every_handler",
    "flowengine schema --tests": "test_schema_for_files_of_tests_takes_those_of_the_examples",
    "flowengine handlers --json": "test_handlers_are_listed_ones_own_included",
    "flowengine key new ci --role run --expires 90d": "test_key_is_made_listed_and_revoked",
    "flowengine key list": "test_key_is_made_listed_and_revoked",
    "flowengine key revoke ci": "test_key_is_made_listed_and_revoked",
    "flowengine key new ci --entry": "test_key_is_made_with_its_entry",
    "flowengine api --host 127.0.0.1 --port 8000": SERVICES,
    "flowengine orchestrator --processes 1": SERVICES,
    "flowengine worker --processes 2 --threads 16 --concurrency 200": SERVICES,
    "flowengine apply workflows/ --dry-run": APPLIED,
    "flowengine apply workflows/": APPLIED,
    'flowengine submit "Report with parameters" --input day=2026-03-01 --input threshold=60 --follow': (
        APPLIED
    ),
    "flowengine key new ci --role run --definitions 'etl-*'": APPLIED,
    "flowengine schedules": SCHEDULED,
    "flowengine schedules pause nightly-report": SCHEDULED,
    "flowengine schedules resume nightly-report": SCHEDULED,
    "flowengine schedules trigger nightly-report": SCHEDULED,
    "flowengine schedules history nightly-report": SCHEDULED,
    "flowengine list --status failed --since 24h": DAY,
    "flowengine list --status running": DAY,
    "flowengine show ID": DAY,
    "flowengine logs ID NODE": DAY,
    "flowengine events ID": DAY,
    'flowengine cancel ID --reason "no end in sight"': DAY,
    "flowengine rerun ID --follow": DAY,
    "flowengine delete ID --yes": DAY,
    "flowengine rerun ID --from NODE --preview": DAY,
    "flowengine rerun ID --from NODE --set day=2026-03-01 --follow": DAY,
    "flowengine rerun ID --new --version latest --preview": DAY,
    "flowengine rerun ID --new --version latest --follow": DAY,
    "flowengine bulk delete --status failed --before 30d --dry-run": DAY,
    "flowengine dead-letters": DAY,
    "flowengine dead-letters retry LETTER": DAY,
    "flowengine queues": DAY,
    "flowengine workers": DAY,
    "curl -s http://127.0.0.1:9100/metrics | grep -E 'run_seconds_(sum|count)'": DAY,
    "flowengine worker --queues gpu": "test_worker_serves_the_queue_of_ones_own_handler",
    "FLOWENGINE_HANDLERS=my_handlers flowengine dev": "test_handler_works",
    "FLOWENGINE_HANDLERS= flowengine validate .": "test_nothing_of_an_untrusted_folder_is_imported",
    'echo \'{"name": "ada"}\' > user.json': STORY,
    "python3 -m http.server 9000 --bind 127.0.0.1 &": STORY,
    "redis-cli ACL SETUSER flowengine on '>PASSWORD' '~fe:*' +@hash +@list +@sortedset +@stream +@string "
    "+@transaction +copy +del +unlink +exists +expire +expireat +expiretime +pexpire +pexpireat +persist "
    "+ping +select +time +info '+client|id' '+client|unblock'": RIGHTS,
    "redis-cli CONFIG SET auto-aof-rewrite-percentage 0": BACKUP,
    "redis-cli INFO persistence": BACKUP,
    "cp -r appendonlydir backup": BACKUP,
    "redis-cli CONFIG SET auto-aof-rewrite-percentage 100": BACKUP,
    "redis-cli CONFIG SET appendonly yes": "test_snapshot_can_be_restored",
    "curl -sN -m 5 -H 'Accept: text/event-stream' "
    "'http://127.0.0.1:8000/workflows/1a20.../events?logs=true'": (
        "test_curl_commands_of_the_api_answer_as_shown"
    ),
}
"""Every command, and the test that runs it; each `curl -s` is run by a test that takes all of its page's."""

NOT_RUN = re.compile(
    r"just [a-z-]+( quick)?|uv (sync|run( pytest)?)|pip install .*|source .venv/bin/activate"
    r"|docker .*|redis-cli --rdb FILE"
)
"""What makes the environment that the tests run in, needs containers, or is the tests."""

COMMAND = re.compile(r"(?:[A-Z_]+=\w* )?(?:flowengine|curl|redis-cli|just|uv|pip|docker|source) .")
NAME = re.compile(
    r"(flowengine|just)( [a-z-]+)?( new| list| revoke| retry| delete| versions| pause)?"
    r"( [A-Z]+){0,3}( ?\.\.\.)?"
)
"""A command that is spoken of; `test_named_commands_and_options_exist` looks for it."""


@pytest.mark.parametrize("file", ALL, ids=[file.name for file in ALL])
def test_links_lead_somewhere(file: MarkdownFile) -> None:
    """To a file that is there, and to a heading in it."""
    broken = []
    for link in file.links:
        target, _, anchor = link.partition("#")
        if target.startswith("https://"):
            continue
        path = (file.path.parent / target).resolve() if target else file.path
        anchors = MarkdownFile(path).anchors if path.suffix == ".md" and path.is_file() else set()
        if not path.exists() or (anchor and anchor not in anchors):
            broken.append(link)
    assert broken == []


def test_every_topic_is_in_the_list_that_help_shows() -> None:
    """No file of the reference is left out, and README lists them in the same order."""
    assert sorted(help_command.TOPICS) == list(TOPICS)
    assert tuple(re.findall(r"^\| \[(\w+)\]", README.text, re.MULTILINE)) == help_command.TOPICS


@pytest.mark.parametrize("file", ALL, ids=[file.name for file in ALL])
def test_every_block_is_in_a_language_that_is_tested(file: MarkdownFile) -> None:
    """README's picture is in none."""
    assert file.languages - LANGUAGES == ({""} if file is README else set())


@pytest.mark.parametrize("file", ALL, ids=[file.name for file in ALL])
def test_every_command_is_run_by_a_test(file: MarkdownFile) -> None:
    """A command that is added without a test is noticed."""
    shown = [re.sub("^uv run flowengine", "flowengine", command) for command in file.commands]
    curls = [command for command in shown if command.startswith("curl -s ") and command not in RUN_BY]
    named = [code for code in file.inline if COMMAND.match(code) and not NAME.fullmatch(code)]
    unknown = [
        command
        for command in (*shown, *named)
        if command not in (*RUN_BY, *curls) and not NOT_RUN.fullmatch(command)
    ]
    assert unknown == []
    assert not curls or file in (README, TOPICS["api"])


def test_the_tests_that_run_commands_exist() -> None:
    """Each by its name, in this folder."""
    sources = (path.read_text() for path in Path(ROOT, "tests", "e2e", "docs").glob("test_*.py"))
    names = {
        item.name
        for source in sources
        for item in ast.walk(ast.parse(source))
        if isinstance(item, ast.FunctionDef)
    }
    assert set(RUN_BY.values()) - names == set()


def test_no_command_is_kept_here_that_is_shown_nowhere() -> None:
    """The table above names what README and the reference say, and no more."""
    said = {re.sub("^uv run ", "", code) for file in ALL for code in (*file.commands, *file.inline)}
    assert set(RUN_BY) - said == set()
