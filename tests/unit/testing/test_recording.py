"""A test that is recorded from an execution passes, and says what its services and people have answered."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml

from flowengine.cli.workflow_files import find_case_files
from flowengine.execution.views.executions import ExecutionView, NodeDetailView, ResultsView
from flowengine.execution.views.maps import ItemView
from flowengine.handlers.invoking.invoker import Invoker
from flowengine.handlers.secrets.redaction import Secrets
from flowengine.plaintext import plain_text
from flowengine.settings import Settings
from flowengine.testing.case_files import LoadedFile, load, run_loaded, setting_of
from flowengine.testing.cases.case_file import Case
from flowengine.testing.memory.connection import client_of
from flowengine.testing.memory.keyspace import Keyspace
from flowengine.testing.recording import record
from flowengine.testing.running.addresses import nodes_of
from flowengine.testing.running.local_stack import LocalStack, addresses_over, state_over
from flowengine.testing.running.mocked_handlers import COMPUTING, MockedHandlers
from flowengine.testing.running.virtual_clock import VirtualClock
from flowengine.testing.running.workbench import silence
from tests.support.documents import EXAMPLES, EXAMPLES_FOLDER, catalog

OWNER = "0190a1b2c3d" + "0" * 16
NOT_KEPT = {"polling.yaml", "paging.yaml"}
"""Their iterations give other answers each, and only the last one's is kept."""


class Ended:
    """An execution that has run in this process."""

    def __init__(self, loaded: LoadedFile, case: Case) -> None:
        assert loaded.plan is not None
        assert loaded.workflow is not None
        self.document = loaded.workflow.read_text()
        setting = setting_of(case, loaded.labels)
        clock = VirtualClock(setting.now)
        state = state_over(client_of(Keyspace(clock.now)), clock, Settings(), OWNER)
        primaries = {address: found.node.work.primary for address, found in nodes_of(loaded.plan).items()}
        own = Invoker(egress=Settings().egress, settings={})
        handlers = MockedHandlers(own, addresses_over(state), setting.mocks, (), primaries, clock.now)
        secrets = Secrets({f"FLOWENGINE_SECRET_{name}": value for name, value in case.secrets.items()})
        stack = LocalStack(state, clock, catalog(), handlers, secrets, {})
        self._executions = stack.executions
        with silence():
            started = stack.executions.start(
                loaded.plan, correlation_id="test", inputs=setting.inputs, labels=setting.labels
            )
            stack.run(started.execution_id)
        self.id = started.execution_id

    def status(self, execution_id: str, /) -> ExecutionView:
        """As the API shows it."""
        return self._executions.status(execution_id)

    def results(self, execution_id: str, /) -> ResultsView:
        """As the API shows them."""
        return self._executions.results(execution_id)

    def node(self, execution_id: str, node: str, /) -> NodeDetailView:
        """As the API shows it."""
        return self._executions.node(execution_id, node)

    def items(self, execution_id: str, node: str, /) -> Iterable[ItemView]:
        """As the API shows them."""
        page = self._executions.items(
            execution_id, node, statuses=(), begin=0, with_results=True, limit=100, cursor=None
        )
        return page.items

    def text(self, execution_id: str, /) -> str:
        """The file."""
        return self.document


def loaded_of(workflow: Path) -> LoadedFile:
    """The tests of an example."""
    (path,) = find_case_files([workflow], lambda link: None)
    return load(path, catalog(), Settings())


def is_computed(loaded: LoadedFile, node: str) -> bool:
    """Whether a stack asks nobody for what the node gives."""
    assert loaded.plan is not None
    return nodes_of(loaded.plan)[node].node.work.handler in COMPUTING - {"approval", "signal"}


@pytest.mark.parametrize("workflow", EXAMPLES, ids=lambda path: path.name)
def test_what_is_recorded_passes(workflow: Path, tmp_path: Path) -> None:
    """Of each test of each example: the recorded one ends as the execution did."""
    loaded = loaded_of(workflow)
    assert loaded.file is not None
    for case in loaded.file.tests:
        if isinstance(case.expect.refused, str) or (workflow.name in NOT_KEPT and case.mocks):
            continue
        if any(is_computed(loaded, node) for node in case.mocks):
            continue  # no execution of a stack has such answers
        ended = Ended(loaded, case)
        (tmp_path / workflow.name).write_text(workflow.read_text())
        path = tmp_path / "recorded.test.yaml"
        path.write_text(record(ended, ended.id, workflow.name))
        again = load(path, catalog(), Settings())
        assert again.problems == (), path.read_text()
        (outcome,) = run_loaded(again, catalog(), Settings(), {})
        assert outcome.differences == (), (case.name, path.read_text())


def test_answers_stand_in_what_is_recorded() -> None:
    """Of a person, after how long; of a service, with its callback; of each item."""
    loaded = loaded_of(EXAMPLES_FOLDER / "approval.yaml")
    assert loaded.file is not None
    rejected = next(case for case in loaded.file.tests if "rejects" in case.name)
    ended = Ended(loaded, rejected)
    (recorded,) = yaml.safe_load(record(ended, ended.id, "approval.yaml"))["tests"]
    assert recorded["mocks"] == {"release": {"approved": False, "comment": "not yet", "after": 1.0}}
    assert recorded["now"] == "2026-01-01T00:00:00.000Z"
    loaded = loaded_of(EXAMPLES_FOLDER / "callback.yaml")
    assert loaded.file is not None
    ended = Ended(loaded, loaded.file.tests[0])
    (recorded,) = yaml.safe_load(record(ended, ended.id, "callback.yaml"))["tests"]
    assert recorded["mocks"] == {"convert": {"output": {"data": {"id": 7}}, "callback": {"pages": 12}}}
    loaded = loaded_of(EXAMPLES_FOLDER / "http_and_llm.yaml")
    assert loaded.file is not None
    ended = Ended(loaded, loaded.file.tests[1])
    ended.document = "# {{ secrets.NAME }} in a comment\nx: {{ secrets.API }}\n"
    (recorded,) = yaml.safe_load(record(ended, ended.id, "http_and_llm.yaml"))["tests"]
    assert recorded["secrets"] == {"API": "dummy-value"}
    assert recorded["mocks"]["fetch_posts"]["error"]["status_code"] == 503
    assert recorded["expect"]["error"] == "http_server_error"


@pytest.mark.parametrize("comment", ["\u200fnot \u061cyet", "not\x85 yet\u2028", "grün"])
def test_what_is_recorded_is_safe_to_show_and_read_back_as_it_was(comment: str, tmp_path: Path) -> None:
    """Characters that turn the reading order or start a line are escaped by YAML itself; no others are."""
    (tests,) = find_case_files([EXAMPLES_FOLDER / "approval.yaml"], lambda link: None)
    (tmp_path / "approval.yaml").write_text((EXAMPLES_FOLDER / "approval.yaml").read_text())
    path = tmp_path / "approval.test.yaml"
    path.write_text(tests.read_text().replace("not yet", yaml.safe_dump(comment, width=1000).strip()))
    loaded = load(path, catalog(), Settings())
    assert loaded.file is not None, loaded.problems
    rejected = next(case for case in loaded.file.tests if "rejects" in case.name)
    ended = Ended(loaded, rejected)
    text = record(ended, ended.id, "approval.yaml")
    assert plain_text(text, keep_lines=True) == text
    assert ("grün" in text) == (comment == "grün")
    (recorded,) = yaml.safe_load(text)["tests"]
    assert recorded["mocks"]["release"]["comment"] == comment


LOOPS = """
name: Loops
nodes:
  - id: loop
    nodes:
      - {id: price, handler: http_request, config: {url: "http://a.test/{{ iteration }}"}}
      - {id: hear, handler: signal, timeout_seconds: 5, config: {on_timeout: continue}}
    outputs: {price: "{{ price.data }}", heard: "{{ hear.result }}"}
    repeat: {until: "{{ iteration == 3 }}", collect: true}
  - id: told
    handler: signal
    config: {on_timeout: continue}
    timeout_seconds: 5
    repeat: {until: "{{ told.result == 2 }}"}
outputs: {loop: "{{ loop.result }}", iterations: "{{ told.iterations }}"}
"""
TESTS = """
workflow: loops.yaml
tests:
  - name: in turn
    mocks:
      loop.price: [{result: 1}, {result: 2}, {result: 3}]
      loop.hear: {payload: x}
      told: [{payload: 1}, {payload: 0, after: 9s}, {payload: 2, after: 2s}]
"""


def test_what_was_answered_in_each_iteration_is_recorded(tmp_path: Path) -> None:
    """Of a group, and of a node that waits; one to which nothing came is answered too late."""
    (tmp_path / "loops.yaml").write_text(LOOPS)
    cases = tmp_path / "loops.test.yaml"
    cases.write_text(TESTS)
    loaded = load(cases, catalog(), Settings())
    assert loaded.file is not None, loaded.problems
    ended = Ended(loaded, loaded.file.tests[0])
    text = record(ended, ended.id, "loops.yaml")
    (recorded,) = yaml.safe_load(text)["tests"]
    prices = [reply["output"]["data"] for reply in recorded["mocks"]["loop.price"]]
    assert prices == [1, 2, 3]
    told = [(reply["payload"], reply.get("after")) for reply in recorded["mocks"]["told"]]
    assert told == [(1, None), (None, 6), (2, 2)]
    cases.write_text(text)
    again = load(cases, catalog(), Settings())
    assert again.problems == (), text
    (outcome,) = run_loaded(again, catalog(), Settings(), {})
    assert outcome.differences == (), text
