"""`schedules` of a document: what they may say, and what is said of each that is wrong."""

from __future__ import annotations

import pytest

from flowengine.jsonvalue import JsonValue, encode
from flowengine.settings import Limits
from flowengine.workflow.posting.posted import check_posted
from flowengine.workflow.schedules.declared import Schedule
from tests.support.documents import JsonObject, catalog, checked, node, only, workflow

INPUTS: JsonObject = {
    "day": {"type": "string"},
    "count": {"type": "integer", "default": 3},
    "token": {"type": "string", "secret": True, "required": False},
}
DAILY: JsonObject = {"cron": "@daily"}


def scheduled(*schedules: JsonValue, **fields: JsonValue) -> tuple[Schedule, ...]:
    """The schedules of a right document."""
    found = checked(workflow(node("a"), schedules=list(schedules), **fields))
    assert not found.problems, found.problems
    return found.schedules


def test_a_schedule_has_the_defaults_of_the_language() -> None:
    """Of one that says only when."""
    (found,) = scheduled({"cron": " 0   2 * * * "})
    assert found == Schedule(
        id="default", cron="0 2 * * *", timezone="UTC", catch_up="latest", overlap="skip"
    )
    assert (found.paused, bytes(found.inputs)) == (False, b"{}")


def test_all_of_a_schedule_is_read() -> None:
    """And kept as it is written."""
    inputs: JsonObject = {"day": "{{ execution.scheduled_at | date_format('%Y-%m-%d') }}", "count": 4}
    said: JsonObject = {
        "id": "nightly", "cron": "@Daily", "timezone": "Europe/Berlin", "inputs": inputs,
        "catch_up": "all", "overlap": "queue", "paused": True,
    }  # fmt: skip
    (found, other) = scheduled(said, {"every_seconds": 600, "inputs": {"day": "x"}}, inputs=INPUTS)
    assert (found.id, found.cron, found.expression) == ("nightly", "@daily", "0 0 * * *")
    assert (found.timezone, found.catch_up, found.overlap, found.paused) == (
        "Europe/Berlin",
        "all",
        "queue",
        True,
    )
    assert b"execution.scheduled_at" in bytes(found.inputs)
    assert (other.every_s, other.cron) == (600, "")


@pytest.mark.parametrize(
    ("said", "code", "below", "says"),
    [
        ("x", "wrong_type", "", "a schedule is an object"),
        ({}, "missing_field", "", "'cron' or 'every_seconds'"),
        ({"cron": "@daily", "every_seconds": 5}, "not_together", "/every_seconds", "take one out"),
        ({"cron": 5}, "wrong_type", "/cron", "an integer"),
        ({"cron": "* * *"}, "invalid_cron", "/cron", "has 5 fields"),
        ({"cron": "0 0 0 * * *"}, "invalid_cron", "/cron", "this one has 6"),
        ({"cron": "61 * * * *"}, "invalid_cron", "/cron", "minute"),
        ({"cron": "0 0 30 2 *"}, "invalid_cron", "/cron", "day-of-month"),
        ({"cron": "@dayly"}, "invalid_cron", "/cron", "did you mean '@daily'?"),
        ({"cron": "@reboot"}, "invalid_cron", "/cron", "There are: @yearly"),
        ({"cron": "*" * 501}, "out_of_range", "/cron", "at most 500"),
        ({"every_seconds": 0}, "out_of_range", "/every_seconds", "1 to"),
        ({"every_seconds": 1.5}, "wrong_type", "/every_seconds", "whole number"),
        ({"every_seconds": True}, "wrong_type", "/every_seconds", "whole number"),
        ({"every_seconds": 5, "timezone": "UTC"}, "not_together", "/timezone", "take it out"),
        ({"cron": "@daily", "timezone": "Berlin"}, "invalid_timezone", "/timezone", "Europe/Berlin"),
        ({"cron": "@daily", "timezone": "../etc/passwd"}, "invalid_timezone", "/timezone", "no time zone"),
        ({"cron": "@daily", "timezone": 1}, "wrong_type", "/timezone", "must be text"),
        ({"cron": "@daily", "id": "a b"}, "invalid_id", "/id", "letters"),
        ({"cron": "@daily", "id": "x" * 64}, "invalid_id", "/id", "at most 63"),
        ({"cron": "@daily", "id": 1}, "wrong_type", "/id", "must be text"),
        ({"cron": "@daily", "catch_up": "some"}, "invalid_value", "/catch_up", "none or latest or all"),
        ({"cron": "@daily", "overlap": "skipp"}, "invalid_value", "/overlap", "did you mean 'skip'?"),
        ({"cron": "@daily", "overlap": 1}, "wrong_type", "/overlap", "this is an integer"),
        ({"cron": "@daily", "paused": "no"}, "wrong_type", "/paused", "true or false"),
        ({"cron": "@daily", "inputs": []}, "wrong_type", "/inputs", "must be an object"),
        ({"cron": "@daily", "tz": "UTC"}, "unknown_field", "/tz", "did you mean 'timezone'?"),
    ],
)  # fmt: skip
def test_each_wrong_field_is_reported_with_its_place(
    said: JsonValue, code: str, below: str, says: str
) -> None:
    """And with what to do."""
    problem = only(checked(workflow(node("a"), schedules=[said])))
    assert (problem.code, problem.pointer) == (code, f"/schedules/0{below}")
    assert says in problem.message


@pytest.mark.parametrize(
    ("given", "code", "pointer", "says"),
    [
        ({}, "missing_input", "/schedules/0/inputs", "'day' is required"),
        ({"day": 1}, "invalid_input", "/schedules/0/inputs/day", "string"),
        ({"day": "x", "cuont": 1}, "unknown_input", "/schedules/0/inputs/cuont", "did you mean 'count'?"),
        ({"day": "x", "token": "12345678"}, "secret_not_allowed", "/schedules/0/inputs/token", "NAME"),
        ({"day": "{{ secrets.X }}"}, "secret_not_allowed", "/schedules/0/inputs/day", "no secrets"),
        ({"day": "{{ a.result }}"}, "unknown_node_reference", "/schedules/0/inputs/day", "no node has run"),
        ({"day": "{{ inputs.day }}"}, "template_forbidden", "/schedules/0/inputs/day", "'inputs' is not"),
        ({"day": "{{ vars.x }}"}, "template_forbidden", "/schedules/0/inputs/day", "'vars' is not known"),
        ({"day": "{{ execution.sheduled_at }}"}, "unknown_field", "/schedules/0/inputs/day", "scheduled_at"),
        ({"day": "{{ execution. }}"}, "template_syntax", "/schedules/0/inputs/day", ""),
    ],
)  # fmt: skip
def test_inputs_are_checked_when_the_document_is_accepted(
    given: JsonObject, code: str, pointer: str, says: str
) -> None:
    """Nobody is there to read what is wrong with them later."""
    problem = only(
        checked(workflow(node("a"), inputs=INPUTS, schedules=[{"cron": "@daily", "inputs": given}]))
    )
    assert (problem.code, problem.pointer) == (code, pointer)
    assert says in problem.message


def test_a_required_secret_input_cannot_be_scheduled() -> None:
    """No document can give it."""
    inputs: JsonObject = {"token": {"type": "string", "secret": True}}
    problem = only(checked(workflow(node("a"), inputs=inputs, schedules=[DAILY])))
    assert (problem.code, problem.pointer) == ("missing_input", "/schedules/0")
    assert "required: false" in problem.message


def test_a_document_without_inputs_takes_any() -> None:
    """As a trigger does."""
    (found,) = scheduled({"cron": "@daily", "inputs": {"any": [1, {"deep": "{{ today() }}"}]}})
    assert b"today()" in bytes(found.inputs)


def test_ids_are_unique_and_one_without_an_id_has_the_default() -> None:
    """Two without are one too many."""
    problem = only(checked(workflow(node("a"), schedules=[DAILY, DAILY])))
    assert (problem.code, problem.pointer) == ("duplicate_id", "/schedules/1")
    assert "'default'" in problem.message
    assert [one.id for one in scheduled(DAILY, {**DAILY, "id": "b"})] == ["default", "b"]


def test_at_most_a_hundred_schedules() -> None:
    """More are refused as a whole."""
    many: list[JsonValue] = [{"cron": "@daily", "id": f"s{number}"} for number in range(101)]
    assert len(scheduled(*many[:100])) == 100
    problem = only(checked(workflow(node("a"), schedules=many)))
    assert (problem.code, problem.pointer) == ("out_of_range", "/schedules")
    assert only(checked(workflow(node("a"), schedules={}))).code == "wrong_type"


def test_an_overlap_is_refused_beside_a_concurrency_which_decides() -> None:
    """Without one, each time starts an execution that stands in line."""
    limit: JsonObject = {"limit": 1}
    problem = only(checked(workflow(node("a"), concurrency=limit, schedules=[{**DAILY, "overlap": "skip"}])))
    assert (problem.code, problem.pointer) == ("not_together", "/schedules/0/overlap")
    (found,) = scheduled(DAILY, concurrency=limit)
    assert found.overlap == "allow"


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_document_that_is_posted_is_warned_of_schedules(wrapped: bool) -> None:
    """They act when it is applied."""
    document = encode(workflow(node("a"), schedules=[DAILY]))
    body = b'{"workflow": ' + document + b"}" if wrapped else document
    posted = check_posted(body, "json", catalog(), Limits())
    assert not posted.checked.problems
    (warning,) = posted.checked.warnings
    below = "/workflow" if wrapped else ""
    assert (warning.code, warning.pointer) == ("not_armed", f"{below}/schedules")
