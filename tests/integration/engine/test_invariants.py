"""The invariant checker itself: what it must not overlook."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from flowengine.queues import GROUP
from tests.support.checks.invariants import check_everything
from tests.support.checks.snapshot import Client
from tests.support.rigs.harness import Harness, plan_of


def a_message_in_a_handlers_own_queue(client: Client, execution: str) -> None:
    """A queue that no list names."""
    client.xgroup_create("fe:q:gpu", GROUP, id="0", mkstream=True)
    client.xadd("fe:q:gpu", {"a": "run_node", "p": f'{{"execution":"{execution}"}}'})


def a_pending_entry_without_its_message(client: Client, execution: str) -> None:
    """Deleted, and not acknowledged."""
    entry = client.xadd("fe:q:worker", {"a": "run_node", "p": "{}"})
    client.xreadgroup(GROUP, "someone", {"fe:q:worker": ">"})
    client.xdel("fe:q:worker", entry)


def a_dead_letter(client: Client, execution: str) -> None:
    """Nobody expected one."""
    client.xadd("fe:q:worker:dead", {"reason": "exhausted"})


def wrong_bytes(client: Client, execution: str) -> None:
    """The execution's limit on results would be somewhere else."""
    client.hincrby(f"fe:x:{execution}:counts", "bytes", 1)


def a_key_of_no_known_name(client: Client, execution: str) -> None:
    """It would stay for ever."""
    client.set("fe:seen", 1)


def a_key_of_no_known_name_in_the_execution(client: Client, execution: str) -> None:
    """It expires with the others, and is of no use."""
    client.set(f"fe:x:{execution}:lock", 1, ex=1000)


def a_key_of_another_type(client: Client, execution: str) -> None:
    """The next command would fail."""
    client.set("fe:index:pending", 1)


def a_health_mark_that_stays(client: Client, execution: str) -> None:
    """It has a time of its own."""
    client.set("fe:health", 1)


def an_entry_in_another_list(client: Client, execution: str) -> None:
    """It would be shown where it is not."""
    client.zadd("fe:list:failed", {execution: 0})


def an_entry_among_the_paused(client: Client, execution: str) -> None:
    """It would be counted as paused for ever."""
    client.zadd("fe:list:paused", {execution: 0})


def no_entry_in_its_list(client: Client, execution: str) -> None:
    """Nobody would see it."""
    client.zrem("fe:list:completed", execution)


def no_entry_of_its_name(client: Client, execution: str) -> None:
    """Who knows its name would not find it."""
    client.zrem("fe:list:by", f"n\ttest\t{execution}")


def an_entry_of_another_label(client: Client, execution: str) -> None:
    """It would stay for ever."""
    client.zadd("fe:list:by", {f"l\ta\tb\t{execution}": 0})


def another_list_of_its_entries(client: Client, execution: str) -> None:
    """Those that it does not name would stay for ever."""
    client.zadd("fe:list:by", {f'a\t{execution}\t["test","other",{{}},null,null]\t{execution}': 0})


def no_list_of_its_entries(client: Client, execution: str) -> None:
    """They would stay once nothing else is there."""
    client.zremrangebylex("fe:list:by", f"[a\t{execution}\t", f"(a\t{execution}\n")


def a_failure_that_there_was_not(client: Client, execution: str) -> None:
    """A list would blame a node that has completed."""
    client.hset(f"fe:x:{execution}:counts", "first", "a")


DAMAGES: tuple[Callable[[Client, str], None], ...] = (
    a_message_in_a_handlers_own_queue,
    a_pending_entry_without_its_message,
    a_dead_letter,
    wrong_bytes,
    a_key_of_no_known_name,
    a_key_of_no_known_name_in_the_execution,
    a_key_of_another_type,
    a_health_mark_that_stays,
    an_entry_in_another_list,
    an_entry_among_the_paused,
    no_entry_in_its_list,
    no_entry_of_its_name,
    an_entry_of_another_label,
    another_list_of_its_entries,
    no_list_of_its_entries,
    a_failure_that_there_was_not,
)


@pytest.mark.corrupts("that is what it is about")
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: str(damage.__name__))
def test_the_checker_overlooks_no(harness: Harness, damage: Callable[[Client, str], None]) -> None:
    """Sound before the damage, not afterwards."""
    execution = harness.begin(plan_of({"a": ()}))
    harness.drain()
    check_everything(harness.client)
    damage(harness.client, execution)
    with pytest.raises(AssertionError):
        check_everything(harness.client)


def test_dead_letters_that_are_expected_are_no_breach(harness: Harness) -> None:
    """As many as are named, of all queues together."""
    for queue in ("worker", "orchestrator"):
        harness.client.xadd(f"fe:q:{queue}:dead", {"reason": "exhausted"})
    check_everything(harness.client, dead_letters=2)
    with pytest.raises(AssertionError, match="2 dead letters, 1 expected"):
        check_everything(harness.client, dead_letters=1)
    harness.client.delete("fe:q:worker:dead", "fe:q:orchestrator:dead")
