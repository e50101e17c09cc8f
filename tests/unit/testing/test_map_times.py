"""`map.max_seconds`, by a clock that jumps."""

from __future__ import annotations

import msgspec
import pytest

from flowengine.jsonvalue import JsonValue
from flowengine.plugin import Context, HandlerError, handler
from flowengine.testing import run
from tests.support.documents import JsonObject

RETRY: JsonObject = {"max_attempts": 2, "delay_seconds": 40}


class Given(msgspec.Struct):
    """One item."""

    item: int


@handler("second_try")
def second_try(config: Given, context: Context) -> dict[str, int]:
    """Succeeds when it is tried again."""
    if context.attempt == 1:
        raise HandlerError("busy", "not yet")
    return {"result": config.item}


def one_by_one(**fields: JsonValue) -> JsonObject:
    """A workflow that needs 40 seconds for each of four items, one after the other."""
    return {
        "name": "x",
        "inputs": {"most": {"default": 100}},
        "nodes": [
            {
                "id": "each",
                "map": {"items": [1, 2, 3, 4], "max_concurrent": 1, **fields},
                "handler": "second_try",
                "config": {"item": "{{ item }}"},
                "retry": RETRY,
            }
        ],
    }


@pytest.mark.proves("map-time-over")
@pytest.mark.parametrize("most", [100, "{{ inputs.most }}"])
def test_no_item_is_tried_again_once_its_map_has_no_time(most: JsonValue) -> None:
    """Two items have completed. The third could not be tried again in time, and the fourth never begins."""
    ran = run(one_by_one(max_seconds=most), real=["each"], handlers=[second_try])
    error = ran.nodes["each"].error
    assert error is not None
    assert (ran.status, error.code, ran.seconds) == ("failed", "map_failed", 80.0)
    assert error.message.endswith("not yet; map.max_seconds (100 s) leaves no time for a try")
    assert [call.config for call in ran.calls_of("each")][-1] == {"item": 3}


@pytest.mark.proves("map-time-over")
def test_a_map_that_ends_in_time_is_not_touched() -> None:
    """All its items have run."""
    ran = run(one_by_one(max_seconds=161), real=["each"], handlers=[second_try])
    assert (ran.status, ran.nodes["each"].result) == ("completed", [1, 2, 3, 4])


def test_a_time_that_is_none_fails_the_node() -> None:
    """Before any item begins."""
    ran = run(one_by_one(max_seconds="{{ 'soon' }}"), real=["each"], handlers=[second_try])
    error = ran.nodes["each"].error
    assert (error and error.code, ran.calls_of("each")) == ("map_invalid", [])
