"""What templates read of nodes that may not have completed: `statuses`, `errors`, missing outputs."""

from __future__ import annotations

import pytest

from flowengine.jsonvalue import JsonValue
from flowengine.template import Fate, Scope, TemplateError, TemplateForbiddenError, analyse, render
from flowengine.template.errors import TemplateUndefinedError

NOT_FOUND: dict[str, JsonValue] = {"code": "http_client_error", "message": "answered 404", "status_code": 404}
NO_SECRETS: dict[str, str] = {}
BROKEN: dict[str, JsonValue] = {"code": "boom", "message": "on purpose"}


def scope() -> Scope:
    """`done` has completed, the others are what they are called; `later` had not ended."""
    return Scope(
        outputs={"done": {"result": 5, "data": {"a": 1}}},
        primaries={},
        secrets=NO_SECRETS.__getitem__,
        fates={
            "done": Fate("completed"),
            "missing": Fate("failed", NOT_FOUND),
            "broken": Fate("failed", BROKEN),
            "skipped": Fate("skipped"),
        },
        unseen=("later",),
    )


def rendered(template: JsonValue) -> JsonValue:
    """The template's value."""
    return render(template, scope(), max_chars=10_000)


def failure(template: str) -> str:
    """The message of an undefined value."""
    with pytest.raises(TemplateUndefinedError) as caught:
        rendered({"x": template})
    assert caught.value.code == "template_undefined"
    assert caught.value.pointer == "/config/x"
    return str(caught.value)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ statuses.done }}", "completed"),
        ("{{ statuses.missing }}", "failed"),
        ("{{ statuses.skipped }}", "skipped"),
        ('{{ statuses["done"] }}', "completed"),
        ("{{ statuses.missing == 'failed' }}", True),
        ("{{ statuses.missing == 'failed' and statuses.done == 'completed' }}", True),
        ("it has {{ statuses.broken }}", "it has failed"),
        ("{{ errors.missing.code }}", "http_client_error"),
        ("{{ errors.missing.status_code }}", 404),
        ("{{ errors.broken.message }}", "on purpose"),
        ("{{ errors.broken }}", BROKEN),
        ('{{ errors["broken"]["code"] }}', "boom"),
        ("{{ errors.broken.code in ['boom', 'bang'] }}", True),
        ("{{ errors.done | default('none') }}", "none"),
        ("{{ errors.skipped.code | default('none') }}", "none"),
        ("{{ errors.broken.status_code | default(0) }}", 0),
        ("{{ errors.done is defined }}", False),
        ("{{ errors.broken is defined }}", True),
        ("{{ statuses.later | default('running') }}", "running"),
    ],
)
def test_what_became_of_a_node(template: str, expected: JsonValue) -> None:
    """Its status, and its error if it has one."""
    assert rendered(template) == expected


def test_fates_can_be_used_whole() -> None:
    """Of every node that is known; only failed ones have an error."""
    assert rendered("{{ statuses }}") == {
        "done": "completed",
        "missing": "failed",
        "broken": "failed",
        "skipped": "skipped",
    }
    assert rendered("{{ errors }}") == {"missing": NOT_FOUND, "broken": BROKEN}
    assert rendered("{{ errors | length }}") == 2
    assert rendered("{{ 'failed' in (statuses | values) }}") is True


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ broken.result }}", "the node 'broken' has no output: it failed; `default` or `coalesce`"),
        ("{{ skipped }}", "the node 'skipped' has no output: it is skipped; `default` or `coalesce`"),
        ("{{ skipped.data.a }}", "the node 'skipped' has no output: it is skipped"),
        ("x {{ broken.result }}", "the node 'broken' has no output: it failed"),
        ("{{ broken.result + 1 }}", "the node 'broken' has no output: it failed"),
        ("{{ later.result }}", "the node 'later' had not ended when this one was sent to a worker"),
        ("{{ statuses.later }}", "the node 'later' had not ended when this one was sent to a worker"),
        ("{{ errors.later.code }}", "the node 'later' had not ended"),
        ("{{ errors.done }}", "the node 'done' has no error: it is completed"),
        ("{{ errors.skipped.code }}", "the node 'skipped' has no error: it is skipped"),
        ("{{ errors.broken.status_code }}", "status_code"),
        ("{{ far.result }}", "the output of node 'far' is not there to be read"),
    ],
)
def test_what_is_missing_fails_with_what_became_of_it(template: str, message: str) -> None:
    """In a sentence that says what to do, or why."""
    assert message in failure(template)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ broken.result | default(0) }}", 0),
        ("{{ skipped | default({'a': 1}) }}", {"a": 1}),
        ("{{ skipped.data | default('x') }}", "x"),
        ("{{ skipped.data.a.b | default('x') }}", "x"),
        ("{{ later.result | d(none) }}", None),
        ("{{ done.result | default(0) }}", 5),
        ("{{ broken.result is defined }}", False),
        ("{{ broken is undefined }}", True),
        ("{{ done.result is defined }}", True),
        ("{{ broken.result | default(done.result) }}", 5),
        ("{{ done.result | default(broken.result) }}", 5),
        ("{{ broken.result | default(skipped.result | default(7)) }}", 7),
        ("{{ done.result if broken is undefined else broken.result }}", 5),
        ("was {{ broken.result | default('nothing') }}", "was nothing"),
    ],
)
def test_another_value_takes_the_place_of_what_is_missing(template: str, expected: JsonValue) -> None:
    """At any depth, also as an argument."""
    assert rendered(template) == expected


# -- before anything runs


@pytest.mark.parametrize(
    ("text", "nodes", "fates", "all_fates"),
    [
        ("{{ statuses.a }}", [], ["a"], False),
        ('{{ statuses["a-b"] }}', [], ["a-b"], False),
        ("{{ errors.a.code }}{{ errors.b }}", [], ["a", "b"], False),
        ("{{ statuses }}", [], [], True),
        ("{{ errors | length }}", [], [], True),
        ("{{ a.result }}{{ statuses.a }}", ["a"], ["a"], False),
        ("{{ a.statuses }}", ["a"], [], False),
        ("{{ a.result }}", ["a"], [], False),
    ],
)
def test_what_is_asked_about_is_found(text: str, nodes: list[str], fates: list[str], all_fates: bool) -> None:
    """Apart from what is read of outputs."""
    found = analyse(text)
    assert (list(found.nodes), list(found.fates), found.all_fates) == (nodes, fates, all_fates)


@pytest.mark.parametrize(
    ("text", "needed"),
    [
        ("{{ a.result }}", ["a"]),
        ("{{ a.result | default(0) }}", []),
        ("{{ a.result | upper | default(0) }}", []),
        ("{{ a.result | default(0) }}{{ a.x }}", ["a"]),
        ("{{ a.result + (b.x | default(0)) }}", ["a"]),
        ("{{ a is defined }}", []),
        ("{{ a.b.c is undefined }}", []),
        ("{{ a.x if a is defined else 0 }}", ["a"]),
        ("{{ b[a.result] | default(0) }}", []),
        ("x {{ a.result }} {{ b.result }}", ["a", "b"]),
        ("{{ statuses.a }}", []),
    ],
)
def test_outputs_that_must_be_there_are_found(text: str, needed: list[str]) -> None:
    """Those that no `default` and no question lets be absent everywhere they stand."""
    assert list(analyse(text).needed) == needed


@pytest.mark.parametrize("text", ["{{ statuses[a.x] }}", "{{ errors[a.x].code }}", "{{ statuses[0] }}"])
def test_whose_fate_is_asked_is_written_in_the_template(text: str) -> None:
    """So that it can be checked before anything runs."""
    with pytest.raises(TemplateForbiddenError, match="takes a literal name"):
        analyse(text)


@pytest.mark.parametrize("text", ["{{ statuses._a }}", "{{ errors.__class__ }}", "{{ errors['__class__'] }}"])
def test_private_names_are_refused_there_too(text: str) -> None:
    """As everywhere."""
    with pytest.raises(TemplateError):
        analyse(text)


def test_a_node_may_still_have_a_field_of_these_names() -> None:
    """Only the first name is reserved."""
    values = Scope(
        outputs={"a": {"statuses": 1, "errors": [2]}}, primaries={}, secrets=NO_SECRETS.__getitem__
    )
    assert render("{{ a.statuses + a.errors[0] }}", values, max_chars=100) == 3
