"""Whether a run is what its test expects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from msgspec import UNSET

from flowengine.execution.records import NodeError
from flowengine.execution.rules.failing import is_among
from flowengine.jsonvalue import JsonValue, decode, encode
from flowengine.testing.cases.case_file import Expected, ExpectedCalls, ExpectedNode
from flowengine.testing.cases.durations import milliseconds, shown
from flowengine.testing.judging.difference import MISSING, Difference, differences
from flowengine.testing.running.finished_run import NodeRun, Run


def judge(expected: Expected, run: Run) -> list[Difference]:
    """All that is not as the test expects; nothing: it has passed."""
    found = list(_unmocked(run))
    if run.stopped is not None:
        found.append(Difference("execution", "it comes to an end", run.stopped))
    if run.refused is not None or expected.refused is not UNSET:
        return [*found, *_refused(expected, run)]
    found += _execution(expected, run)
    for address, node in expected.nodes.items():
        wanted = node if isinstance(node, ExpectedNode) else ExpectedNode(status=node)
        found += _node(address, wanted, run.all_nodes.get(address, ()))
    for address, calls in expected.calls.items():
        wanted_calls = calls if isinstance(calls, ExpectedCalls) else ExpectedCalls(count=calls)
        found += _calls(address, wanted_calls, run)
    return found


def _unmocked(run: Run) -> Iterator[Difference]:
    for each in run.unmocked:
        of_item = "" if each.item is None else f" (item {each.item})"
        yield Difference(f"mocks.{each.node}", "a mock", f"not_mocked: {each.why}{of_item}", each.node)


def _refused(expected: Expected, run: Run) -> Iterator[Difference]:
    wanted = "it starts" if expected.refused is UNSET else f"refused: {expected.refused}"
    actual = "it starts" if run.refused is None else f"refused: {run.refused.code}: {run.refused.message}"
    if run.refused is None or run.refused.code != expected.refused:
        yield Difference("start", wanted, actual)


def _execution(expected: Expected, run: Run) -> Iterator[Difference]:
    why = "" if run.error is None else f": {run.error.code}: {run.error.message}"
    if run.status != expected.status:
        node = None if run.error is None else run.error.node
        yield Difference("status", expected.status, f"{run.status}{why}", node)
    if expected.error is not UNSET and (run.error is None or run.error.code != expected.error):
        yield Difference("error", expected.error, MISSING if run.error is None else why[2:])
    if expected.outputs is not UNSET:
        actual: dict[str, JsonValue] = {} if run.outputs is None else dict(run.outputs)
        for name, value in expected.outputs.items():
            place = f"outputs.{name}"
            if name in actual:
                yield from differences(place, value, actual[name], partly=False)
            else:
                yield Difference(place, value, MISSING)
    if expected.within is not UNSET and run.seconds * 1000 > milliseconds(expected.within):
        within, took = shown(milliseconds(expected.within)), shown(round(run.seconds * 1000))
        yield Difference("within", f"at most {within}", took)


def _node(address: str, expected: ExpectedNode, runs: Sequence[NodeRun]) -> Iterator[Difference]:
    place = f"nodes.{address}"
    if not runs:
        yield Difference(place, _in_words(expected), "its group did not run", address)
    for at, run in enumerate(runs):
        yield from _node_run(f"{place}" if len(runs) == 1 else f"{place} ({at + 1})", address, expected, run)


def _node_run(place: str, address: str, expected: ExpectedNode, run: NodeRun) -> Iterator[Difference]:
    if expected.status not in (UNSET, run.status):
        yield Difference(place, _text(expected.status), f"{run.status}{_why(run)}", address)
    for field in ("attempts", "iterations", "skipped", "tolerated"):
        wanted, actual = getattr(expected, field), getattr(run, field)
        if wanted is not UNSET and wanted != actual:
            yield Difference(f"{place}.{field}", wanted, MISSING if actual is None else actual, address)
    if expected.error is not UNSET and not _is_error(expected.error, run.error):
        yield Difference(f"{place}.error", expected.error, _why(run)[2:] or MISSING, address)
    if expected.result is not UNSET:
        yield from _value(f"{place}.result", expected.result, run.result, run, address, partly=False)
    if expected.output is not UNSET:
        yield from _value(f"{place}.output", expected.output, run.output, run, address, partly=True)


def _value(
    place: str, expected: JsonValue, actual: JsonValue, run: NodeRun, address: str, *, partly: bool
) -> Iterator[Difference]:
    if run.status != "completed":
        yield Difference(place, expected, f"it is {run.status}{_why(run)}", address)
    else:
        yield from differences(place, expected, actual, partly=partly, node=address)


def _is_error(code: str, error: NodeError | None) -> bool:
    return error is not None and is_among(error, (code,))


def _why(run: NodeRun) -> str:
    if run.error is not None:
        return f": {run.error.code}: {run.error.message}"
    return "" if run.skipped is None else f": {run.skipped}"


def _in_words(expected: ExpectedNode) -> JsonValue:
    return decode(encode(msgspec.to_builtins(expected)))


def _text(value: object) -> str:
    return str(value)


def _calls(address: str, expected: ExpectedCalls, run: Run) -> Iterator[Difference]:
    calls, place = run.calls_of(address), f"calls.{address}"
    if expected.count not in (UNSET, len(calls)):
        yield Difference(f"{place}.count", _count(expected.count), len(calls), address)
    if expected.configs is not UNSET and len(expected.configs) != len(calls):
        yield Difference(f"{place}.configs", f"{len(expected.configs)} calls", f"{len(calls)} calls", address)
    if expected.config is not UNSET and not calls:
        yield Difference(f"{place}.config", dict(expected.config), "it was not called", address)
    for at, call in enumerate(calls):
        where = place if len(calls) == 1 else f"{place}[{at}]"
        if expected.config is not UNSET:
            wanted = dict(expected.config)
            yield from differences(f"{where}.config", wanted, call.config, partly=True, node=address)
        if expected.configs is not UNSET and at < len(expected.configs):
            wanted = dict(expected.configs[at])
            yield from differences(f"{where}.config", wanted, call.config, partly=True, node=address)


def _count(count: object) -> JsonValue:
    return count if isinstance(count, int) else None
