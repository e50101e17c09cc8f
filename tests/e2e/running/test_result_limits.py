"""Limits on what a node reads from others, and on the results that an execution keeps."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import KEPT_BYTES, READ_BYTES
from tests.e2e.documents import add, node, workflow
from tests.support.rigs.stack_processes import Stack

OUTPUT = {"size": 100_000}


@pytest.mark.proves("inputs-too-large")
@pytest.mark.parametrize(("size", "width"), [(100_000, 4), (20_000, 18)])
def test_node_that_reads_too_much_fails(narrow_stack: Stack, size: int, width: int) -> None:
    """The error names the limit and the figure. Nodes that read less go on. Covers few and many inputs."""
    names = [f"n{at}" for at in range(width)]
    read = [f"{{{{ {name}.result }}}}" for name in names]
    ended = narrow_stack.run(
        workflow(
            *(node(name, "test_big", size=size) for name in names),
            node("join", "aggregate", after=names, aggregate_type="count", inputs=read),
            node("fewer", "aggregate", after=names[:2], aggregate_type="count", inputs=read[:2]),
            add("after", 1, 1, after=["join"]),
        )
    )
    error = ended.errors["join"]
    assert error["code"] == "inputs_too_large"
    figure = width * (size + len('{"result":""}'))
    assert f"{figure} bytes, the limit is {READ_BYTES} (FLOWENGINE_MAX_READ_BYTES)" in error["message"]
    assert ended.errors["after"]["caused_by"] == "join"
    assert ended.results["fewer"] == {"result": 2}
    assert ended.status["counts"]["completed"] == width + 1


@pytest.mark.proves("results-too-large")
def test_execution_that_keeps_too_much_fails(narrow_stack: Stack) -> None:
    """A chain stops at the node whose result no longer fits, in each run. Small results still fit."""
    names = [f"n{at}" for at in range(7)]
    chain = [
        node(name, "test_big", after=names[max(0, at - 1) : at], **OUTPUT) for at, name in enumerate(names)
    ]
    execution = narrow_stack.start(workflow(*chain, add("small", 1, 1, after=["n3"])))
    for attempt in (1, 2):
        ended = narrow_stack.ended(execution)
        assert set(ended.results) == {"n0", "n1", "n2", "n3", "small"}
        error = ended.errors["n4"]
        assert error["code"] == "results_too_large"
        assert f"over {KEPT_BYTES} bytes (FLOWENGINE_MAX_EXECUTION_RESULT_BYTES)" in error["message"]
        assert ended.node("n4")["attempt"] == attempt
        assert {ended.errors[name]["code"] for name in ("n5", "n6")} == {"upstream_failed"}
        if attempt == 1:
            narrow_stack.trigger(execution)
