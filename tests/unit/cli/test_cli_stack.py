"""The commands that ask a stack, on the real API over a store in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result
from structlog.testing import capture_logs

from flowengine.api.access.api_keys import key_of_entry, new_key
from flowengine.api.routes.executions.list_executions import PAGE
from flowengine.api.routes.executions.show_execution import FAILED
from flowengine.api.routes.operations.dead_letters import LETTER
from flowengine.cli.output import tables
from flowengine.cli.output.tables import folded_columns
from flowengine.cli.stack import history, starting
from flowengine.cli.stack.ids import SHORTEST, short_ids
from flowengine.cli.stack.steering import bulk, rerunning, stopping
from flowengine.cli.tool import tool
from flowengine.client import Client, UnreachableError
from flowengine.engine.commands.rerun import RerunAsked
from flowengine.execution.events import Event
from flowengine.execution.history.places import Place
from flowengine.execution.history.views import event_view
from flowengine.execution.records import NodeError
from flowengine.execution.rules.steering.rerunning import Wanted
from flowengine.execution.views.executions import (
    AttemptView,
    ExecutionView,
    ListView,
    NotPossibleView,
    RerunPreviewView,
    SummaryView,
)
from flowengine.workflow.priority import PRIORITIES
from tests.support.fake_executions import NOW
from tests.support.servers.served_api import ServedApi, served_api
from tests.support.servers.valkey import free_port

DOCUMENT = "name: echoes\nnodes:\n  - {id: a, handler: echo}\n"
UNKNOWN = "name: echoes\nnodes:\n  - id: a\n    handler: ecko\n"


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ServedApi]:
    """An API that the commands find by FLOWENGINE_URL."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FLOWENGINE_KEY", raising=False)
    with capture_logs(), served_api() as served:  # it logs to the standard output of this process
        monkeypatch.setenv("FLOWENGINE_URL", f"http://127.0.0.1:{served.port}")
        yield served


def run(*arguments: str, code: int = 0) -> Result:
    """The command in this process, its two outputs apart; it must end with this exit code."""
    result = CliRunner().invoke(tool, arguments)
    assert result.exit_code == code, result.output
    return result


def submitted(text: str = DOCUMENT) -> str:
    """The id of an execution of this document."""
    Path("file.yaml").write_text(text)
    return run("submit", "file.yaml").stdout.strip()


def test_submit_prints_the_id_alone(api: ServedApi) -> None:
    """A script takes it from there; the execution runs."""
    execution = submitted()
    assert api.store.status(execution).status == "running"


def test_submit_with_a_key_starts_once(api: ServedApi) -> None:
    """However often it is run; without one, each time."""
    Path("file.yaml").write_text(DOCUMENT)
    ids = [run("submit", "file.yaml", "--idempotency-key", "day-1").stdout for _ in range(2)]
    assert ids[0] == ids[1] != run("submit", "file.yaml").stdout
    assert len(api.store.stored) == 2


@pytest.mark.parametrize("more", [(), ("--label", "team=data")], ids=["as it is", "in an envelope"])
def test_refused_workflow_names_the_lines_of_its_file(api: ServedApi, more: tuple[str, ...]) -> None:
    """Whatever it was sent in. Exit code 2."""
    Path("bad.yaml").write_text(UNKNOWN)
    told = run("submit", "bad.yaml", *more, code=2).stderr
    assert "bad.yaml:4:14: unknown_handler: no handler called 'ecko'; did you mean 'echo'?" in told


def test_callback_url_goes_with_the_workflow_or_is_refused(api: ServedApi) -> None:
    """This stack has no key to sign with, and says so."""
    Path("file.yaml").write_text(DOCUMENT)
    told = run("submit", "file.yaml", "--callback-url", "https://a.example/x", code=2).stderr
    assert "invalid_callback_url" in told
    assert "FLOWENGINE_WEBHOOK_KEY" in told


def test_file_that_cannot_be_read_is_not_sent(api: ServedApi) -> None:
    """Its line is told, as JSON where that is asked for."""
    Path("bad.yaml").write_text("name: [\n")
    result = run("submit", "bad.yaml", "--json", code=2)
    assert "bad.yaml:2:1: " in result.stderr
    assert json.loads(result.stdout)["code"] == "malformed_document"


def test_short_ids_tell_apart() -> None:
    """Whatever they have in common."""
    ids = [f"{'0' * place}{'1' * (27 - place)}" for place in range(27)]
    shown = short_ids(ids)
    assert len(set(shown.values())) == len(ids)
    assert all(whole.startswith(short) and len(short) >= SHORTEST for whole, short in shown.items())


def test_refusals_say_why(api: ServedApi) -> None:
    """With exit code 3."""
    told = json.loads(run("trigger", "f" * 27, "--json", code=3).stdout)
    assert told["code"] == "execution_not_found"
    assert "no execution has the id" in run("cancel", "f" * 27, code=3).stderr


def test_one_node_is_shown(api: ServedApi) -> None:
    """What has happened in one sentence, attempts as rows, config and result; or all of it as JSON."""
    execution = "2b" * 13 + "0"
    text = "name: echoes\nnodes:\n  - {id: a, handler: echo, config: {text: hello}}\n"
    api.store.stored[execution] = api.store.stored.pop(submitted(text))
    assert run("show", execution, "a").stdout.startswith("a has not begun.\n")
    api.store.finish(execution, {"a": msgspec.Raw(b'{"result":"hello"}')})
    assert run("show", execution, "a").stdout.startswith("a completed.\n"), "nobody noted its start"
    first = AttemptView(
        attempt=1,
        queued_at=NOW,
        started_at=NOW,
        finished_at=NOW,
        delivery=2,
        error=NodeError("boom", "on purpose\x1b[2J"),
    )
    api.store.stored[execution].attempts["a"] = (first,)
    shown = run("show", execution, "a").stdout
    assert f"1\t{NOW}\t0 ms\t2\tboom: on purpose\\x1b[2J\n" in shown
    assert 'config\n  {\n    "text": "hello"\n  }\n' in shown
    assert 'result\n  {\n    "result": "hello"\n  }\n' in shown
    (line,) = run("show", execution, "a", "--json").stdout.splitlines()
    assert (json.loads(line)["id"], json.loads(line)["config"]) == ("a", {"text": "hello"})
    assert "no node 'b'" in run("show", execution, "b", code=3).stderr


def test_kind_of_a_node_is_told_where_its_handler_does_not_say_it(api: ServedApi) -> None:
    """Not of a plain one."""
    nodes = (
        "  - {id: a, handler: echo, config: {text: hello}}\n"
        "  - {id: b, handler: echo, config: {text: hello}, map: {items: [1]}}\n"
    )
    execution = "3c" * 13 + "0"
    api.store.stored[execution] = api.store.stored.pop(submitted(f"name: kinds\nnodes:\n{nodes}"))
    shown = {name: run("show", execution, name).stdout for name in "ab"}
    assert "\nkind          map\nhandler       echo\n" in shown["b"]
    assert "\nkind " not in shown["a"]


def test_ended_execution_is_run_again(api: ServedApi) -> None:
    """What it does is told, and by a preview what it would do."""
    execution = "f" * 27
    api.store.stored[execution] = api.store.stored.pop(submitted())
    assert "running" in run("rerun", execution, code=3).stderr
    api.store.stored[execution].status = "completed"
    told = run("rerun", execution, "--all", "--preview").stdout
    assert told == f"after run 1 of {execution} this would begin:\n  again: a\n"
    told = run("rerun", execution, "--item", "a=x=1", "--item", "a=2", "--preview").stdout
    assert "items of a: 2 again, 1 kept" in told
    assert api.store.reruns[-1] == RerunAsked(Wanted("from", items={"a": ("x=1", "2")}))
    told = run("rerun", execution, "--from", "a", "--skip", "b", "--set", "day=5").stdout
    assert told == f"running, run 2: {execution}\n  again: a\n  skipped: b\n"
    assert api.store.reruns[-1] == RerunAsked(Wanted("from", ("a",), ("b",)), inputs={"day": 5})
    assert "leave out --item" in run("rerun", execution, "--all", "--item", "a=2", code=2).stderr
    assert "NODE=KEY" in run("rerun", execution, "--item", "a", code=2).stderr
    told = run("rerun", execution, "--new", "--version", "latest", "--preview").stdout
    assert told == (
        f"after run 2 of {execution} this would begin in a new execution:\n  again: a\n"
        "  anew: 'a' is another in this version\n"
    )
    told = run("rerun", execution, "--new", "--version", "3").stdout
    assert told == f"pending, run 2: {execution} -> x2\n  again: a\n"
    assert [version for _, version in api.store.forks] == ["latest", 3]
    assert "say --new" in run("rerun", execution, "--version", "3", code=2).stderr
    assert "a number or 'latest'" in run("rerun", execution, "--new", "--version", "x", code=2).stderr
    assert "leave out --from" in run("rerun", execution, "--all", "--from", "a", code=2).stderr
    assert "could be waited for" in run("rerun", execution, "--preview", "--wait", code=2).stderr


def test_dead_letters_are_listed_retried_and_deleted(api: ServedApi) -> None:
    """One that is gone is refused."""
    assert run("dead-letters").stdout.startswith(f"{LETTER}\texhausted\t")
    assert json.loads(run("dead-letters", "--json").stdout.splitlines()[0])["id"] == LETTER
    assert run("dead-letters", "retry", LETTER).stdout.startswith("sent: ")
    assert run("dead-letters", "delete", LETTER).stdout == f"deleted: {LETTER}\n"
    assert "no dead letter has the id" in run("dead-letters", "retry", "nix", code=3).stderr


def test_a_workflow_is_submitted_with_a_priority(api: ServedApi) -> None:
    """One of those that there are."""
    submitted()
    execution = run("submit", "file.yaml", "--priority", "high").stdout.strip()
    assert api.store.stored[execution].plan.overall.priority == "high"
    assert starting.PRIORITIES == PRIORITIES
    assert "is not one of" in run("submit", "file.yaml", "--priority", "urgent", code=2).stderr


def test_delete_asks(api: ServedApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal, with what it is; elsewhere it wants --yes. A no deletes nothing."""
    execution = "1a" * 13 + "0"
    api.store.stored[execution] = api.store.stored.pop(submitted())
    assert "say --yes" in run("delete", execution, code=2).stderr
    monkeypatch.setattr(stopping, "can_ask", lambda: True)
    declined = CliRunner().invoke(tool, ("delete", execution), input="n\n")
    assert (declined.exit_code, "nothing was deleted" in declined.stderr) == (3, True)
    assert f"Delete {execution} (echoes, running)?" in declined.stderr
    assert "is running" in run("delete", execution, "--yes", code=3).stderr
    assert run("delete", execution, "--yes", "--force").stdout == f"deleted once it has ended: {execution}\n"
    api.store.stored[execution].status = "cancelled"
    agreed = CliRunner().invoke(tool, ("delete", execution), input="y\n")
    assert (agreed.exit_code, agreed.stdout) == (0, f"deleted: {execution}\n")
    assert execution not in api.store.stored


def test_bulk_asks_with_what_it_would_do(api: ServedApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal; elsewhere it wants --yes. What was created after the question is left alone."""
    which = ("--status", "failed", "--label", "team=data", "--before", "7d")
    assert "say --yes" in run("bulk", "delete", *which, code=2).stderr
    assert api.store.bulks == {}
    assert run("bulk", "delete", *which, "--dry-run").stdout == "delete: would be done to 0 of 0\n"
    monkeypatch.setattr(bulk, "can_ask", lambda: True)
    declined = CliRunner().invoke(tool, ("bulk", "cancel", "--name", "echoes"), input="n\n")
    assert (declined.exit_code, "nothing was done" in declined.stderr) == (3, True)
    agreed = CliRunner().invoke(tool, ("bulk", "cancel", "--name", "echoes"), input="y\n")
    assert (agreed.exit_code, agreed.stdout) == (0, "cancel: done to 0 of 0\n")
    *_, dry, done = api.store.bulks.values()
    assert (dry.dry_run, done.dry_run) == (True, False)
    assert dry.wanted is not None
    assert done.wanted is not None
    assert (dry.wanted.created_before, done.wanted.created_before) == (None, 1)
    rerun = run("bulk", "rerun", "--mode", "all", *which, "--dry-run").stdout
    assert rerun == "rerun: would be done to 0 of 0, nodes reset: 0, results reused: 0\n"
    assert list(api.store.bulks.values())[-1].mode == "all"
    assert json.loads(run("bulk", "pause", "--all", "--yes", "--json").stdout)["status"] == "finished"


def test_bulk_wants_to_know_which() -> None:
    """No option is no answer, and `--all` stands alone."""
    assert "or --all" in run("bulk", "delete", "--yes", code=2).stderr
    assert "or --all" in run("bulk", "delete", "--all", "--name", "x", "--yes", code=2).stderr


def test_queues_and_workers_are_listed(api: ServedApi) -> None:
    """As lines, and as JSON."""
    assert run("queues").stdout.startswith("orchestrator\t")
    assert {json.loads(line)["queue"] for line in run("queues", "--json").stdout.splitlines()} >= {"worker"}
    named = [line.split("\t")[1] for line in run("workers").stdout.splitlines()]
    assert named == [json.loads(line)["service"] for line in run("workers", "--json").stdout.splitlines()]


def test_limits_are_listed(api: ServedApi) -> None:
    """Who runs, who waits, and who is next; as JSON each is what the API answers."""
    (row,) = [line.split("\t") for line in run("limits").stdout.splitlines()]
    found = json.loads(run("limits", "--json").stdout)
    assert row[:4] == [found["key"], found["workflow"], "1/1", "1"]
    assert row[4] == found["waiters"][0]["execution_id"]


def test_statistics_are_shown(api: ServedApi) -> None:
    """What is kept, how the last hour and day went, and each workflow; as JSON it is what the API answers."""
    lines = [line.split("\t") for line in run("stats").stdout.splitlines()]
    found = json.loads(run("stats", "--json").stdout)
    kept = {status: str(count) for status, count in found["executions"].items() if count}
    assert dict(lines[: len(kept)]) == kept
    hour, day, *definitions = lines[len(kept) :]
    assert (hour[0], hour[1]) == ("last hour", str(found["last_hour"]["completed"]))
    assert (day[0], day[2]) == ("last day", str(found["last_day"]["failed"]))
    assert day[5] == f"{found['last_day']['durations']['p50_s']:.3g} s"
    assert [line[0] for line in definitions] == [each["name"] for each in found["definitions"]]


def test_missing_key_is_said_with_what_to_do(api: ServedApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """And one whose role does not suffice."""
    secret, entry = new_key("viewer", "read")
    api.access.add(key_of_entry(entry))
    assert "Set FLOWENGINE_KEY to a key of this stack" in run("list", code=3).stderr
    monkeypatch.setenv("FLOWENGINE_KEY", secret)
    run("list")
    assert "role" in run("dead-letters", code=3).stderr


def test_to_follow_a_run_reads_its_nodes_only_where_no_list_has_it(
    api: ServedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten times a second the API read all nodes of a large execution, only to say that it runs."""
    execution = submitted()
    asked: list[str] = []

    def status(_: Client, whole: str, **__: object) -> ExecutionView:
        asked.append(whole)
        return msgspec.structs.replace(FAILED, execution_id=whole)

    def listed(_: Client, *, begins_with: str, limit: int) -> ListView:
        item = msgspec.structs.replace(PAGE.items[0], execution_id=listed_id, name=begins_with)
        return ListView(items=(item,), next_cursor=None)

    monkeypatch.setattr(Client, "status", status)
    monkeypatch.setattr(Client, "list_page", listed)
    with Client() as client:
        listed_id = execution
        assert history._ended(client, execution)()
        assert asked == []
        listed_id = "0123456789abcdef0123456789a"
        assert history._ended(client, execution)()
    assert asked == [execution]


def test_further_page_is_asked_for_only_where_a_person_reads(
    api: ServedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script that wanted so many waited for one more, and lost them all if that failed."""

    def listed(_: Client, *, limit: int, **__: object) -> Iterator[SummaryView]:
        yield from PAGE.items * 3
        if is_terminal:
            assert limit == 4
            yield from PAGE.items
        raise UnreachableError("there is no further page")

    monkeypatch.setattr(Client, "list", listed)
    is_terminal = False
    for more in ((), ("--json",)):
        assert len(run("list", "--limit", "3", *more).stdout.splitlines()) == 3
    is_terminal = True
    monkeypatch.setattr(tables, "is_terminal", lambda: is_terminal)
    assert run("list", "--limit", "3").stderr == "There are more than 3: see --limit.\n"


def test_no_stack_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its address. --json says it as JSON, and a shell that completes says nothing."""
    url = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("FLOWENGINE_URL", url)
    said = f"no FlowEngine at {url}: start one with `flowengine dev` or set FLOWENGINE_URL"
    assert run("list", code=3).stderr == f"error: {said}\n"
    assert json.loads(run("queues", "--json", code=3).stdout) == {"code": "unreachable", "detail": said}
    completed = CliRunner().invoke(tool, prog_name="flowengine", env=_completing("flowengine show "))
    assert (completed.stdout.strip(), completed.stderr) == ("", "")


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_is_a_script_of_the_shell(shell: str) -> None:
    """It calls the tool back."""
    assert f"_FLOWENGINE_COMPLETE={shell}_complete" in run("completion", shell).stdout


def test_wrong_options_are_refused_before_anything_is_asked() -> None:
    """Exit code 2."""
    assert "say 30m, 24h or 7d" in run("list", "--since", "yesterday", code=2).stderr
    assert "write --label NAME=VALUE" in run("list", "--label", "team", code=2).stderr
    assert "name the node as well" in run("logs", "a", "--attempt", "1", code=2).stderr


def test_settings_of_the_client_are_no_unknown_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """The services do not warn of them."""
    monkeypatch.setenv("FLOWENGINE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("FLOWENGINE_KEY", "fe_x")
    assert "warning" not in run("list", code=3).stderr


def _completing(words: str) -> dict[str, str]:
    """What a shell tells the tool when somebody presses the tabulator key."""
    return {
        "_FLOWENGINE_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
    }


def test_show_lists_nodes_of_the_statuses_named(api: ServedApi) -> None:
    """Of a thousand nodes one looks for the failed ones; the counts stay those of all."""
    execution = "2b" * 13 + "0"
    api.store.stored[execution] = api.store.stored.pop(submitted())
    everything = json.loads(run("show", execution, "--json").stdout)
    (node,) = everything["nodes"]
    same = json.loads(run("show", execution, "--status", node["status"], "--json").stdout)
    assert same == everything
    none = run("show", execution, "--status", "cancelled")
    assert "It has no such node." in none.stderr
    assert "did you mean 'failed'?" in run("show", execution, "--status", "faild", code=2).stderr
    assert "leave out NODE" in run("show", execution, "a", "--status", "failed", code=2).stderr


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (
            Event("execution_stopping", 0, detail="cancel", by="ops", explanation="no end in sight"),
            "execution_stopping cancel by ops (no end in sight)",
        ),
        (Event("execution_rerun", 0, detail="from ops"), "execution_rerun from by ops"),
        (Event("node_waiting", 0, "a", 2, 1, "for:approval"), "node_waiting a #2 approval"),
        (Event("signal_received", 0, detail="go"), "signal_received go"),
    ],
)
def test_events_say_who_and_why(api: ServedApi, event: Event, told: str) -> None:
    """All that the API tells of an event stands in its line."""
    execution = "2b" * 13 + "0"
    api.store.stored[execution] = api.store.stored.pop(submitted())
    api.store.stored[execution].events = [event_view(Place(1, 0, 0), event)]
    assert run("events", execution).stdout == f"1970-01-01T00:00:00.000Z {told}\n"


def test_rerun_that_cannot_be_done_is_told_instead_of_what_would_begin(api: ServedApi) -> None:
    """A list of nodes that would run again would be read as if they did."""
    hindrance = NotPossibleView(
        node="chek", field="from", code="unknown_node", message="there is no node 'chek'"
    )
    shown = RerunPreviewView(
        execution_id="x",
        run=1,
        version=None,
        reset=("a",),
        reused=(),
        skipped=(),
        not_possible=(hindrance,),
    )
    assert list(rerunning.told_lines(shown)) == [
        "after run 1 of x this cannot be done:",
        "  there is no node 'chek'",
    ]


@pytest.mark.parametrize(
    ("available", "folded"),
    [(100, frozenset[int]()), (78, {2}), (70, {2, 4}), (50, None)],
    ids=["it fits", "the widest", "the two widest", "no table"],
)
def test_table_folds_its_widest_columns(available: int, folded: frozenset[int] | None) -> None:
    """Never the first one, which is an id; words of a narrow one are not broken."""
    assert folded_columns([13, 9, 24, 5, 19, 6], available) == folded


@pytest.mark.parametrize("columns", ["60", "50"])
def test_wide_characters_take_their_two_places_in_a_table(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Counted as one each, the table would be taken to fit, and the columns beside them would be cut."""
    monkeypatch.setattr(tables, "is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", columns)
    row = ("ワークフロー" * 3, "completed", "1a2317aa2ff23")
    tables.print_rows(("name", "status", "id"), [row], nothing="")
    shown = capsys.readouterr().out
    assert all(cell in shown for cell in row)


def test_pair_that_is_none_is_told_with_the_option_that_it_came_by(api: ServedApi) -> None:
    """An input is `--input` where it starts something, and `--set` where it runs again."""
    Path("file.yaml").write_text(DOCUMENT)
    assert "write --input NAME=VALUE" in run("submit", "file.yaml", "--input", "x", code=2).stderr
    assert "write --label NAME=VALUE" in run("submit", "file.yaml", "--label", "x", code=2).stderr
    assert "write --set NAME=VALUE" in run("rerun", "f" * 27, "--set", "x", code=2).stderr


def test_silent_nodes_are_told_of(api: ServedApi) -> None:
    """Nothing at all would look like a command that did not work; JSON stays JSON."""
    execution = "2b" * 13 + "0"
    api.store.stored[execution] = api.store.stored.pop(submitted())
    told = run("logs", execution)
    assert (told.stdout, told.stderr) == ("", "Nothing was logged or printed.\n")
    assert run("logs", execution, "--json").output == ""
