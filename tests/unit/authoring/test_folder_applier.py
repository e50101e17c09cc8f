"""Workflows that are applied as they are saved, on the real API over a store in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from flowengine.cli.authoring.folder_applier import FolderApplier
from flowengine.client import Client
from tests.support.servers.served_api import ServedApi, served_api

FLOW = "name: {name}\nnodes:\n  - id: {node}\n    handler: echo\n    config: {{text: {text}}}\n"


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ServedApi]:
    """An API, and a folder of workflows in the current one."""
    monkeypatch.chdir(tmp_path)
    Path("flows").mkdir()
    with capture_logs(), served_api() as served:
        yield served


class Applying:
    """An applier of the folder `flows`, and what it has said."""

    def __init__(self, client: Client) -> None:
        self.said: list[str] = []
        self._applier = FolderApplier([Path("flows")], client, self.said.append)

    def look(self) -> list[str]:
        """What is said once files have settled."""
        self.said.clear()
        self._applier.look()
        self._applier.look()
        return self.said


def write(name: str, *, node: str = "a", text: str = "x") -> None:
    """A workflow of this name."""
    Path(f"flows/{name}.yaml").write_text(FLOW.format(name=name, node=node, text=text))


def applied(api: ServedApi) -> set[str]:
    """The names of what is applied."""
    return set(api.store.definition_store.names)


def test_files_are_applied_at_the_start_and_when_they_are_saved(api: ServedApi) -> None:
    """First how many they are, then what differs, and nothing where nothing has changed."""
    write("one")
    write("two")
    with Client(f"http://127.0.0.1:{api.port}") as client:
        applying = Applying(client)
        assert applying.look() == ["applied: 2 new"]
        assert applying.look() == []
        write("two", text="yy")
        assert applying.look() == [
            "changed: two, version 1 -> 2",
            '  ~ node a config.text: "x" -> "yy"',
        ]
        write("three")
        assert applying.look() == ["new: three, version 1"]
    assert applied(api) == {"one", "two", "three"}


def test_what_is_wrong_is_told_and_the_rest_is_applied(api: ServedApi) -> None:
    """With its place; and that it is over."""
    write("one")
    Path("flows/wrong.yaml").write_text("name: wrong\nnodes: []\n")
    with Client(f"http://127.0.0.1:{api.port}") as client:
        applying = Applying(client)
        problem, summary = applying.look()
        assert problem.startswith("flows/wrong.yaml:2:8: ")
        assert summary == "applied: 1 new"
        assert applied(api) == {"one"}
        write("wrong")
        assert applying.look() == ["new: wrong, version 1", "all files are valid again"]
    assert applied(api) == {"one", "wrong"}


def test_two_workflows_of_one_name_are_a_problem_of_the_later_one(api: ServedApi) -> None:
    """The first is applied."""
    write("one")
    Path("flows/other.yaml").write_text(FLOW.format(name="one", node="b", text="z"))
    with Client(f"http://127.0.0.1:{api.port}") as client:
        problem, summary = Applying(client).look()
    assert problem.startswith("flows/other.yaml:1:1: duplicate_name: ")
    assert summary == "applied: 1 new"


def test_file_that_goes_deletes_nothing(api: ServedApi) -> None:
    """It may be on its way to another name."""
    write("one")
    write("two")
    with Client(f"http://127.0.0.1:{api.port}") as client:
        applying = Applying(client)
        applying.look()
        Path("flows/two.yaml").unlink()
        assert applying.look() == []
    assert applied(api) == {"one", "two"}


class Busy(httpx.HTTPTransport):
    """Answers each PUT with `status` for as long as it is set."""

    status: int | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send it, or answer it."""
        if self.status is None or request.method != "PUT":
            return super().handle_request(request)
        problem = {"status": self.status, "code": "busy", "detail": "not now", "title": "Busy"}
        return httpx.Response(
            self.status, json=problem, headers={"Content-Type": "application/problem+json"}, request=request
        )


@pytest.mark.parametrize("status", [409, 429, 500, 503])
def test_answer_that_says_nothing_of_the_files_is_asked_for_again(api: ServedApi, status: int) -> None:
    """That is said once, until it has been applied."""
    write("one")
    busy = Busy()
    waiting = "not applied yet, and tried again until it is: not now"
    with Client(f"http://127.0.0.1:{api.port}", transport=busy) as client:
        applying = Applying(client)
        busy.status = status
        assert applying.look() == [waiting]
        assert applying.look() == []
        busy.status = None
        assert applying.look() == ["applied: 1 new"]
        write("one", text="yy")
        busy.status = status
        assert applying.look() == [waiting]
    assert applied(api) == {"one"}


def test_answer_that_stays_as_it_is_is_not_asked_for_again(api: ServedApi) -> None:
    """Until a file changes."""
    write("one")
    busy = Busy()
    with Client(f"http://127.0.0.1:{api.port}", transport=busy) as client:
        applying = Applying(client)
        busy.status = 403
        assert applying.look() == ["not applied: not now Set FLOWENGINE_KEY to a key with the role admin."]
        busy.status = None
        assert applying.look() == []
        write("one", text="yy")
        assert applying.look() == ["applied: 1 new"]


def test_stack_that_does_not_answer_is_asked_again(api: ServedApi) -> None:
    """Nothing is said, and nothing is forgotten."""
    write("one")
    with Client("http://127.0.0.1:9") as nobody:
        applier = Applying(nobody)
        assert applier.look() == []
        with Client(f"http://127.0.0.1:{api.port}") as client:
            applier._applier._client = client
            assert applier.look() == ["applied: 1 new"]
