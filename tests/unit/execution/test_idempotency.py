"""How requests are told apart that may be repeated."""

from __future__ import annotations

import pytest

from flowengine.execution.requests.idempotency import (
    IdempotencyConflictError,
    KeptTrigger,
    idempotent_request,
    names_request,
    part_of_no_request,
    refuse_other,
)

SENT = (b"application/json", b"trigger=true", b"{}")
REQUEST = idempotent_request(("create", "ci"), "order-1", SENT)


def test_the_same_request_is_known_again() -> None:
    """Made anew from the same parts."""
    assert idempotent_request(("create", "ci"), "order-1", SENT) == REQUEST
    refuse_other(KeptTrigger(REQUEST.content, 1), REQUEST)


@pytest.mark.parametrize(
    "scope", [("trigger", "ci"), ("create", "ops"), ("create", ""), ("createc", "i"), ("create", "ci", "")]
)
def test_of_another_route_or_caller_the_key_is_another_one(scope: tuple[str, ...]) -> None:
    """Nobody learns what others have sent, or is kept from sending it."""
    assert idempotent_request(scope, "order-1", SENT).key != REQUEST.key


@pytest.mark.parametrize("place", range(len(SENT)))
def test_any_difference_makes_another_request(place: int) -> None:
    """In its body, its media type, or its query: the key is the same, and it is refused."""
    sent = [part + b" " * (at == place) for at, part in enumerate(SENT)]
    other = idempotent_request(("create", "ci"), "order-1", sent)
    assert other.key == REQUEST.key
    with pytest.raises(IdempotencyConflictError, match="a new request needs a new key"):
        refuse_other(KeptTrigger(REQUEST.content, 1), other)


def test_what_moves_from_one_part_to_the_next_is_a_difference() -> None:
    """The parts are told apart by their lengths."""
    moved = (SENT[0] + SENT[1], b"", SENT[2])
    assert idempotent_request(("create", "ci"), "order-1", moved).content != REQUEST.content


def test_an_id_says_whether_it_names_a_request() -> None:
    """By the first digit of its random part: no other id is taken for one."""
    assert all(names_request(idempotent_request((), str(number), ()).key) for number in range(100))
    parts = [part_of_no_request(bits) for bits in (0, 1, 2**63 - 1, 2**63, 2**64 - 1)]
    assert {len(part) for part in [*parts, REQUEST.key]} == {16}
    assert not any(map(names_request, parts))
