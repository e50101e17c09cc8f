"""Names in a document: which no node may have, and what a wrong one is answered."""

from __future__ import annotations

import pytest

from flowengine.template import RESERVED_NAMES, analyse
from flowengine.template.errors import TemplateError
from flowengine.workflow.schema import document_schema
from tests.support.documents import accepted, catalog, checked, node, only, reading, workflow

JINJA_WORDS = (
    "and", "else", "false", "if", "in", "is", "none", "not", "or", "true", "False", "None", "True",
)  # fmt: skip


ROOTS = (
    *("nodes", "secrets", "inputs", "vars", "statuses", "errors", "execution", "trigger", "callback_url"),
    *("item", "item_index", "item_key", "iteration", "previous", "attempt", "error"),
)


@pytest.mark.parametrize("name", [*JINJA_WORDS, *ROOTS])
def test_name_that_means_something_in_templates_is_no_id(name: str) -> None:
    """The words of Jinja2's expressions, and what templates read: `{{ not.result }}` reads no node."""
    problem = only(checked(workflow(node(name))))
    assert (problem.code, problem.pointer) == ("reserved_id", "/nodes/0/id")
    assert f"'{name}'" in problem.message
    assert name in document_schema(catalog())["$defs"]["Node"]["properties"]["id"]["not"]["enum"]


@pytest.mark.parametrize(
    "name",
    [
        *("Not", "nots", "self", "loop", "for", "node", "result", "_", "NONE", "Item", "items"),
        *("now", "today", "uuid", "range", "coalesce", "zip", "product", "map", "upper"),
    ],
)
def test_every_other_name_is_an_id_that_templates_can_read(name: str) -> None:
    """Also words of the statements that templates may not use, and names of functions and filters."""
    accepted(workflow(node(name)))
    assert analyse(f"{{{{ {name}.result }}}}").nodes == (name,)


def test_no_word_that_a_template_cannot_read_is_missing() -> None:
    """Whatever Jinja2 or Python takes for a word of its own is either readable or reserved."""
    import keyword

    unreadable = set()
    for word in (*keyword.kwlist, *keyword.softkwlist, "true", "false", "none", "self", "caller", "loop"):
        try:
            if analyse(f"{{{{ {word}.result }}}}").nodes != (word,):
                unreadable.add(word)
        except TemplateError:
            unreadable.add(word)
    assert unreadable <= RESERVED_NAMES


@pytest.mark.parametrize(
    ("word", "right"),
    [
        ("needs", "dependencies"),
        ("depends", "dependencies"),
        ("depends_on", "dependencies"),
        ("dependsOn", "dependencies"),
        ("uses", "handler"),
        ("action", "handler"),
        ("type", "handler"),
        ("with", "config"),
        ("args", "config"),
        ("inputs", "config"),
        ("params", "config"),
        ("parameters", "config"),
        ("timeout", "timeout_seconds"),
        ("if", "when"),
        ("run_if", "when"),
        ("condition", "when"),
        ("foreach", "map"),
        ("for_each", "map"),
        ("with_items", "map"),
        ("parallel", "map"),
        ("continue_on_error", "on_error"),
        ("allow_failure", "on_error"),
        ("optional", "on_error"),
        ("retries", "retry"),
        ("triger_rule", "trigger_rule"),
        ("Timeout_seconds", "timeout_seconds"),
        ("conifg", "config"),
    ],
)
def test_field_that_another_tool_calls_otherwise_is_answered_with_ours(word: str, right: str) -> None:
    """And one that is nearly right with the right one."""
    problem = only(checked(workflow(node("a", **{word: {}}))))
    assert problem.code == "unknown_field"
    assert f"did you mean '{right}'?" in problem.message


@pytest.mark.parametrize("word", ["env", "steps", "x", "0"])
def test_field_like_no_other_is_answered_with_the_list(word: str) -> None:
    """A wrong proposal is worse than none."""
    problem = only(checked(workflow(node("a", **{word: {}}))))
    assert problem.message == (
        f"unknown field '{word}'. Known fields: id, description, handler, config, dependencies, "
        "timeout_seconds, when, trigger_rule, retry, on_error, repeat, concurrency, rate_limit, "
        "output_schema, map, wait_for_callback, cache"
    )


@pytest.mark.parametrize("word", ["handler", "config", "when", "retry", "needs", "if", "with", "foreach"])
def test_workflow_has_words_of_its_own(word: str) -> None:
    """What is a field of a node is not proposed for the workflow."""
    problem = only(checked(workflow(node("a"), **{word: {}})))
    known = (
        "name, description, labels, inputs, vars, defaults, timeout_seconds, on_node_failure, "
        "hooks_timeout_seconds, concurrency, priority, schedules, after, nodes, on_failure, finally, "
        "outputs"
    )
    assert problem.message == f"unknown field '{word}'. Known fields: {known}"


@pytest.mark.parametrize("word", ["params", "parameters"])
def test_what_other_tools_call_inputs_is_answered_with_inputs(word: str) -> None:
    """The nearest name by letters would be another."""
    assert "did you mean 'inputs'?" in only(checked(workflow(node("a"), **{word: {}}))).message


@pytest.mark.parametrize(
    ("word", "right"),
    [
        ("params", "inputs"),
        ("parameters", "inputs"),
        ("tags", "labels"),
        ("cron", "schedules"),
        ("schedule", "schedules"),
        ("timeout", "timeout_seconds"),
    ],
)
def test_another_tools_word_for_a_field_of_the_workflow_is_answered_with_ours(word: str, right: str) -> None:
    """By what it means, not by its letters."""
    problem = only(checked(workflow(node("a"), **{word: {}})))
    assert problem.pointer == f"/{word}"
    assert f"did you mean '{right}'?" in problem.message


@pytest.mark.parametrize(
    ("word", "right"), [("timeout", "timeout_seconds"), ("retries", "retry"), ("optional", "on_error")]
)
def test_the_defaults_of_nodes_know_the_words_of_other_tools_too(word: str, right: str) -> None:
    """As nodes do."""
    problem = only(checked(workflow(node("a"), defaults={"node": {word: {}}})))
    assert (problem.code, problem.pointer) == ("unknown_field", f"/defaults/node/{word}")
    assert f"did you mean '{right}'?" in problem.message


@pytest.mark.parametrize(
    "wrong",
    [
        node("a", "far_away"),
        reading("a", "{{ far_away.x }}"),
        {"id": "a", "handler": "transform", "config": {"input": 1, "transform_type": "sideways"}},
        {"id": "a", "handler": "transform", "config": {"input": 1, "transform_type": "trim", "colour": 1}},
        node("a", handler="sleep"),
    ],
    ids=["dependency", "template", "choice", "config", "handler"],
)
def test_nothing_far_away_is_proposed_anywhere(wrong: dict[str, object]) -> None:
    """In every place that proposes names."""
    document = workflow(wrong, node("load_users"))  # type: ignore[arg-type]  # values of JSON
    assert "did you mean" not in only(checked(document)).message
