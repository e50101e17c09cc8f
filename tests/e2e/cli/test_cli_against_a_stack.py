"""The commands that ask a stack, on one that runs: called in this process, answered over HTTP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result

from flowengine.cli.output import tables
from flowengine.cli.stack.ids import SHORTEST
from flowengine.cli.tool import tool
from flowengine.client import Client
from tests.e2e.documents import node, workflow
from tests.support.rigs.stack_processes import Stack
from tests.support.waiting import wait_until
from tests.unit.project.test_plaintext import HOSTILE

PARAMETERS = """name: with parameters
inputs: {day: {type: string}, threshold: {type: integer}}
nodes:
  - {id: shown, handler: test_return, config: {given: "{{ inputs.day }} {{ inputs.threshold + 1 }}"}}
"""


@pytest.fixture(autouse=True)
def _finds_the_stack(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By FLOWENGINE_URL. Each test has a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLOWENGINE_URL", stack.url)


def run(*arguments: str, code: int = 0) -> Result:
    """The command in this process, its two outputs apart; it must end with this exit code."""
    result = CliRunner().invoke(tool, arguments)
    assert result.exit_code == code, result.output
    return result


def documents(*arguments: str) -> list[Any]:
    """What a command prints with --json."""
    return [json.loads(line) for line in run(*arguments, "--json").stdout.splitlines()]


def submitted(document: dict[str, Any]) -> str:
    """The id of an execution of this document, which a script would take from standard output."""
    Path("file.json").write_text(json.dumps(document))
    return run("submit", "file.json").stdout.strip()


def completed_words(words: str) -> str:
    """What a shell is told when somebody presses the tabulator key behind these words."""
    environment = {
        "_FLOWENGINE_COMPLETE": "bash_complete",
        "COMP_WORDS": f"flowengine {words}",
        "COMP_CWORD": str(len(words.split(" "))),
    }
    return CliRunner().invoke(tool, prog_name="flowengine", env=environment).stdout


def test_workflow_is_submitted_with_inputs_and_waited_for() -> None:
    """Inputs are read by the types that the workflow says. The results are those of `flowengine run`."""
    Path("file.yaml").write_text(PARAMETERS)
    inputs = ("--input", "day=2026-03-01", "--input", "threshold=60")
    waited = run("submit", "file.yaml", *inputs, "--label", "team=data", "--wait")
    assert 'shown  {"result":["2026-03-01 61"]}' in waited.stdout
    execution = waited.stderr.strip()
    assert documents("show", execution)[0]["labels"] == {"team": "data"}
    (results,) = documents("results", execution)
    assert results["results"]["shown"] == {"result": ["2026-03-01 61"]}
    assert "completed: with parameters, 1 node" in run("results", execution).stdout
    refused = run("submit", "file.yaml", "--input", "day=1", "--input", "threshold=x", code=2)
    assert "/inputs/threshold: invalid_input: " in refused.stderr


def test_failure_is_followed_shown_found_and_triggered_again() -> None:
    """The exit code of those who wait says how it ended."""
    Path("file.json").write_text(json.dumps(workflow(node("fails", "test_raise"), name="failing")))
    followed = run("submit", "file.json", "--follow", code=1)
    assert "failed    fails" in followed.stdout
    execution = followed.stderr.split()[0]
    found = run("list", "--status", "failed", "--since", "1h", "--name", "failing").stdout.splitlines()
    assert [line.split("\t")[:2] for line in found] == [[execution, "failed"]]
    assert found[0].endswith(" (fails)")
    assert "no such customer" in run("show", execution[:-1]).stdout
    assert "fails failed with" in run("show", execution, "fails").stdout
    run("trigger", execution, "--wait", code=1)
    assert "failed, run 2" in run("show", execution).stdout


def test_lines_and_events_are_followed_to_the_end() -> None:
    """Each once, and the last ones too."""
    execution = submitted(workflow(node("speaks", "test_speak"), node("waits", "test_wait", seconds=0.3)))
    happened = documents("events", execution, "-f")
    assert happened[-1]["kind"] == "execution_finished"
    assert len({event["id"] for event in happened}) == len(happened)
    assert run("events", execution).stdout.splitlines()[-1].endswith(" execution_finished completed")
    said = documents("logs", execution, "-f")
    assert said == documents("logs", execution, "speaks", "--attempt", "1")
    assert [line["source"] for line in said] == ["log", "log", "stdout", "stderr"]
    assert " speaks [log info] speak.logged number=2" in run("logs", execution).stdout
    assert "did you mean 'speaks'?" in run("logs", execution, "speak", code=3).stderr


def test_runaway_is_paused_and_cancelled(stack: Stack) -> None:
    """The reason is its error. What has ended cannot be cancelled."""
    execution = submitted(workflow(node("waits", "test_wait", seconds=60)))
    wait_until(stack.node_is(execution, "waits", "running"), within_s=20, what="the node's start")
    assert run("pause", execution).stdout == f"paused: {execution}\n"
    assert run("resume", execution).stdout == f"running: {execution}\n"
    assert run("cancel", execution, "--reason", "no end").stdout == f"cancelling: {execution}\n"
    with Client(stack.url) as client:
        assert client.wait_until_ended(execution, timeout_s=20).status == "cancelled"
        assert json.loads(client.document(execution))["name"] == "under test"
        assert sum(client.stats().executions.values()) > 0
        again = client.start_bulk("cancel", ids=[execution], dry_run=True).bulk_id
        wait_until(lambda: client.bulk(again).status == "finished", within_s=20, what="the bulk's end")
        assert client.bulk(again).refused == {"cancelled": 1}
    assert "cancelled: no end" in run("show", execution).stdout
    assert "there is nothing to cancel" in run("cancel", execution, code=3).stderr


def test_what_runs_is_deleted_by_force(stack: Stack) -> None:
    """It is cancelled, and not found once it has ended."""
    execution = submitted(workflow(node("waits", "test_wait", seconds=60)))
    wait_until(stack.node_is(execution, "waits", "running"), within_s=20, what="the node's start")
    assert "cancel it first" in run("delete", execution, "--yes", code=3).stderr
    told = run("delete", execution, "--yes", "--force").stdout
    assert told == f"deleted once it has ended: {execution}\n"

    def is_gone() -> bool:
        with Client(stack.url) as client:
            return all(item.execution_id != execution for item in client.list(begins_with=execution))

    wait_until(is_gone, within_s=20, what="the delete")
    assert "no execution has the id" in run("show", execution, code=3).stderr


def test_nodes_that_hang_are_ended_by_hand(stack: Stack) -> None:
    """One is completed with a result that the next one reads; the others are skipped and failed."""
    execution = submitted(
        workflow(
            node("waits", "test_wait", seconds=60),
            node("reads", "set", after=["waits"], value="{{ waits.result.n }}"),
            node("skipped", "test_wait", seconds=60),
            node("failed", "test_wait", seconds=60),
        )
    )
    wait_until(stack.node_is(execution, "waits", "running"), within_s=20, what="the node's start")
    answers = [
        run("complete", execution, "waits", '{"n": 7}', "--reason", "done by hand", "--attempt", "1"),
        run("skip", execution, "skipped"),
        run("fail", execution, "failed", "--code", "gone", "--message", "it is gone"),
    ]
    assert [answer.stdout.split(":")[0] for answer in answers] == ["completed", "skipped", "failed"]
    assert "a text stands in quotes" in run("complete", execution, "waits", "seven", code=2).stderr
    with Client(stack.url) as client:
        ended = client.wait_until_ended(execution, timeout_s=20)
        assert ended.status == "failed"
        found = client.results(execution)
        assert json.loads(bytes(found.results["reads"]))["result"] == 7
        assert found.errors["failed"].code == "gone"
        told = [event for event in client.events(execution) if event.kind == "node_overruled"]
    assert [(event.said, event.node) for event in told] == [
        ("complete", "waits"),
        ("skip", "skipped"),
        ("fail", "failed"),
    ]
    assert told[0].reason == "done by hand"
    assert "is in run 1" in run("skip", execution, "waits", "--run", "2", code=3).stderr


@pytest.mark.proves("wait-live")
def test_what_waits_is_answered_from_a_terminal(stack: Stack) -> None:
    """A signal, an approval and a rejection, each to a node; a handler that puts its call off is called
    again; what does not fit is refused."""
    execution = submitted(
        workflow(
            node("paid", "signal", schema={"type": "integer"}),
            node("release", "approval", prompt="may it go?"),
            node("refused", "approval", after=["release"], on_reject="continue"),
            node("later", "test_later", seconds=2, since="{{ now() }}"),
            node("async_later", "test_async_later", seconds=2, since="{{ now() }}"),
            node("said", "set", after=["paid", "refused"], value="{{ refused.result.comment }}"),
        )
    )
    wait_until(stack.node_is(execution, "release", "waiting"), within_s=20, what="the wait")
    with Client(stack.url) as client:
        found = [item.node for item in client.waiting(kind="approval") if item.execution_id == execution]
        assert found == ["release"]
    assert "waits for a decision" in run("show", execution, "release").stdout
    assert "is not of type" in run("signal", execution, "paid", '"seven"', code=2).stderr
    assert run("signal", execution, "paid", "7").stdout == f"sent: paid to {execution}\n"
    told = run("approve", execution, "release", "--comment", "go", "--data", '{"n": 1}').stdout
    assert told == f"approved: release of {execution} is completed\n"
    assert "a decision counts once" in run("reject", execution, "release", code=3).stderr
    wait_until(stack.node_is(execution, "refused", "waiting"), within_s=20, what="the wait")
    run("reject", execution, "refused", "--comment", "not on a Friday")
    ended = stack.ended(execution)
    assert ended.status["status"] == "completed"
    assert ended.results["paid"] == {"result": 7, "timed_out": False}
    assert ended.results["release"]["result"]["data"] == {"n": 1}
    assert ended.results["said"]["result"] == "not on a Friday"
    with Client(stack.url) as client:
        waited = [event.node for event in client.events(execution) if event.waits_for == "later"]
    assert set(waited) == {"later", "async_later"}
    attempts = {found["id"]: found["attempt"] for found in ended.status["nodes"]}
    assert set(attempts.values()) == {1}


def test_beginning_of_an_id_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no other begins so; else the candidates are listed. A table shows ids that short."""
    first, second = sorted(submitted(workflow(node("a", "test_say"), name="twice")) for _ in range(2))
    alike = next(place for place in range(27) if first[place] != second[place])
    assert documents("show", first[: alike + 1])[0]["execution_id"] == first
    told = run("show", first[:alike], code=3).stderr
    assert "executions begin with" in told
    assert first in told
    assert second in told
    assert "see: flowengine list" in run("show", "zz", code=3).stderr
    assert run("list", "--name", "twice", "--limit", "1").stderr == ""
    monkeypatch.setattr(tables, "is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "200")
    assert run("list", "--name", "twice", "--limit", "1").stderr == "There are more than 1: see --limit.\n"
    assert run("list", "--name", "twice", "--limit", "2").stderr == ""
    table = run("list", "--name", "twice").stdout
    assert first[: max(SHORTEST, alike + 1)] in table
    assert first not in table


def test_stack_is_shown(stack: Stack) -> None:
    """Its queues, its processes, and that nothing was set aside."""
    stack.ended(submitted(workflow(node("a", "test_say"))))
    assert {queue["queue"] for queue in documents("queues")} >= {"orchestrator", "worker"}
    assert {worker["service"] for worker in documents("workers")} == {"orchestrator", "worker"}
    assert run("dead-letters").stderr == "There are no dead letters.\n"
    assert documents("stats")[0]["last_day"]["completed"] > 0


def test_text_of_others_does_not_act_on_the_terminal(stack: Stack) -> None:
    """What a node has returned, and what a file is wrong about."""
    execution = submitted(workflow(node("a", "test_return", given=HOSTILE)))
    stack.ended(execution)
    shown = [run(command, execution).stdout for command in ("show", "results", "events", "logs")]
    assert not [text for text in shown if "\x1b" in text or "\u202e" in text]


def test_shell_completes_what_the_stack_has() -> None:
    """Ids, nodes, names and statuses."""
    execution = submitted(workflow(node("only_one", "test_say"), name="to-complete"))
    assert execution in completed_words("show ")
    assert execution in completed_words(f"cancel {execution[:20]}")
    assert "only_one" in completed_words(f"logs {execution} only")
    assert "to-complete" in completed_words("list --name to-c")
    assert "failed" in completed_words("list --status fai")


def test_what_started_an_execution_and_what_follows_it_are_shown() -> None:
    """Each names the other, and its definition."""
    unique = uuid4().hex[:8]
    before, then = f"extract-{unique}", f"load-{unique}"
    Path("before.json").write_text(json.dumps(workflow(node("a", "test_return", given=1), name=before)))
    after = [{"workflow": before}]
    Path("then.json").write_text(
        json.dumps({**workflow(node("a", "test_return", given=1), name=then), "after": after})
    )
    run("apply", "before.json", "then.json")
    execution = run("submit", before, "--wait").stderr.strip()
    wait_until(lambda: "followed by" in run("show", execution).stdout)
    (found,) = documents("show", execution)[0]["followers"]
    assert f"{then}: {found['execution_id']}" in run("show", execution).stdout
    assert f"after {before} completed {execution}" in run("show", found["execution_id"]).stdout
