"""What becomes JSON, and what is refused because JSON would say something else."""

from __future__ import annotations

import dataclasses
import enum
import uuid

import msgspec
import pytest

from flowengine.jsonvalue import (
    MAX_DEPTH,
    JsonValue,
    NotJsonError,
    UnencodableError,
    decode,
    decode_bounded,
    depth,
    encode,
)

NAN = float("nan")


class Point(msgspec.Struct):
    """A struct, as handlers return them."""

    at: object
    note: str | msgspec.UnsetType = msgspec.UNSET


@dataclasses.dataclass
class Plain:
    """A dataclass, as handlers return them too."""

    at: object


class Colour(enum.Enum):
    """Written as its value."""

    RED = "red"


class Name(enum.StrEnum):
    """An enum whose members are text."""

    ADA = "ada"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ({"a": [1, 1.5, True, None, "ü"]}, '{"a":[1,1.5,true,null,"ü"]}'),
        (Point(at=(1, {2})), '{"at":[1,[2]]}'),
        ([Plain(at=[Point(at=1)])], '[{"at":[{"at":1}]}]'),
        ({Name.ADA: Colour.RED}, '{"ada":"red"}'),
        (b"a", '"YQ=="'),
        (2**100, str(2**100)),
    ],
)
def test_what_json_can_carry_is_written(value: object, written: str) -> None:
    """Structs, dataclasses, sets and enums too."""
    assert encode(value).decode() == written


@pytest.mark.parametrize("key", [1, 1.5, NAN, b"a", uuid.UUID(int=1), Colour.RED, True, None, (1, 2)])
def test_key_that_is_no_text_is_refused(key: object) -> None:
    """`{1: a, "1": b}` would hold one key twice, and a parser would drop one of them."""
    for value in ({key: 1}, [{"a": {key: 1}}], Point(at={key: 1}), Plain(at={key: 1})):
        with pytest.raises(UnencodableError):
            encode(value)


def test_refusal_of_a_key_says_what_to_do() -> None:
    """Authors of handlers count on integers as keys."""
    with pytest.raises(UnencodableError, match=r"key of type int.*str\(key\)"):
        encode({"counts": {1: 2, "1": 3}})


@pytest.mark.parametrize("number", [NAN, float("inf"), -float("inf")])
def test_number_that_is_not_finite_is_refused_wherever_it_hides(number: float) -> None:
    """The encoder alone would write null."""
    for value in (number, [number], {"a": (number,)}, Point(at=[number]), Plain(at={"a": number}), {number}):
        with pytest.raises(UnencodableError, match="is not a JSON number"):
            encode(value)


def test_value_that_holds_itself_is_refused() -> None:
    """Its JSON would have no end."""
    endless: list[object] = []
    endless.append({"a": endless})
    with pytest.raises(UnencodableError):
        encode(endless)


def test_text_that_only_claims_to_be_json_is_refused() -> None:
    """msgspec.Raw is written unread, so anything in it would be stored."""
    with pytest.raises(UnencodableError):
        encode({"a": msgspec.Raw(b"{not json")})


def test_unpaired_surrogates_are_refused() -> None:
    """UTF-8 has no form for them."""
    with pytest.raises(UnencodableError):
        encode(["\ud800"])


def test_deepest_that_can_be_written_can_be_read() -> None:
    """What is stored is read again."""
    value: list[object] = []
    for _ in range(500):
        value = [value]
    assert decode(encode(value)) == value


def test_depth_counts_containers() -> None:
    """A scalar has depth 0, each array or object around it adds one."""
    values: list[JsonValue] = [1, [], [1], [{"a": []}], {"a": {"b": 1}}]
    assert [depth(value) for value in values] == [0, 1, 1, 3, 2]


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 5000, 100_000])
def test_json_nested_too_deeply_is_refused(levels: int) -> None:
    """Depth is bounded long before the interpreter's stack is."""
    with pytest.raises(NotJsonError, match="deeper than 200"):
        decode_bounded("[" * levels + "]" * levels)


def test_json_at_the_depth_limit_is_accepted() -> None:
    """The limit itself is allowed."""
    assert depth(decode_bounded("[" * MAX_DEPTH + "]" * MAX_DEPTH)) == MAX_DEPTH
