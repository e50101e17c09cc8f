"""Configs against their handlers' structs, with and without templates in them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pytest

from flowengine.jsonvalue import JsonValue
from flowengine.template import analyse
from flowengine.workflow.checking.node_config import check_config
from flowengine.workflow.checking.problem_report import MAX_PROBLEMS, Report
from flowengine.workflow.problems import Problem


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    """A nested struct that takes its own fields only."""

    width: int
    label: str = ""


class Sample(msgspec.Struct, kw_only=True):
    """A config of every kind of field."""

    text: str
    number: float = 0
    whole: int | None = None
    small: Annotated[int, msgspec.Meta(ge=0, le=9)] = 0
    flag: bool = False
    choice: Literal["red", "green"] = "red"
    level: Literal[1, 2] = 1
    names: list[str] = []
    counts: dict[str, int] = {}
    pair: tuple[int, str] | None = None
    inner: Inner | None = None
    inners: list[Inner] = []
    either: int | list[int] = 0
    anything: Any = None
    renamed: int = msgspec.field(default=0, name="reName")

    def __post_init__(self) -> None:
        if self.text == "forbidden":
            raise ValueError("this text is forbidden")


def is_sole(template: str) -> bool:
    """Whether it is one whole expression."""
    return analyse(template).is_sole


def problems(**config: JsonValue) -> list[Problem]:
    """What is wrong with this config."""
    report = Report()
    check_config({"text": "x", **config}, Sample, "/c", report, is_sole)
    return list(report.problems())


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"number": 1},
        {"whole": None},
        {"names": ["a"], "counts": {"a": 1}, "pair": [1, "a"], "inner": {"width": 1}},
        {"anything": {"a": [1, "{{ x }}"]}},
        {"reName": 1},
        {"number": "{{ x }}", "whole": "{{ x }}", "flag": "{{ x }}", "level": "{{ x }}"},
        {"names": "{{ x }}", "counts": "{{ x }}", "pair": "{{ x }}", "inner": "{{ x }}"},
        {"names": ["{{ x }}", "a {{ x }}"], "counts": {"a": "{{ x }}"}, "pair": ["{{ x }}", "b"]},
        {"inner": {"width": "{{ x }}"}, "inners": ["{{ x }}", {"width": 1, "label": "a{{ x }}"}]},
        {"choice": "r{{ x }}", "text": "forbidden{{ x }}"},
        {"either": ["{{ x }}"]},
        {"small": "{{ x }}"},
    ],
)
def test_what_may_fit_is_accepted(config: dict[str, JsonValue]) -> None:
    """Values that match, and templates wherever they may become a match."""
    assert problems(**config) == []


@pytest.mark.parametrize(
    ("config", "code", "pointer", "words"),
    [
        ({"text": 5}, "invalid_config", "/c/text", "Expected `str`"),
        ({"number": "5"}, "invalid_config", "/c/number", "Expected `float`"),
        ({"whole": 1.5}, "invalid_config", "/c/whole", "Expected `int | null`"),
        ({"small": 10}, "invalid_config", "/c/small", "<= 9"),
        ({"choice": "blue"}, "invalid_config", "/c/choice", "blue"),
        ({"names": ["a", 1]}, "invalid_config", "/c/names/1", "Expected `str`"),
        ({"counts": {"a/b": "x"}}, "invalid_config", "/c/counts/a~1b", "Expected `int`"),
        ({"pair": [1]}, "invalid_config", "/c/pair", "takes 2 items"),
        ({"inner": {"width": "a"}}, "invalid_config", "/c/inner/width", "Expected `int`"),
        ({"inner": {}}, "missing_field", "/c/inner/width", "required"),
        ({"inner": []}, "invalid_config", "/c/inner", "does not take a list"),
        ({"flag": {}}, "invalid_config", "/c/flag", "does not take an object"),
        (
            {"inners": [{"width": 1, "wdth": 1}, {"width": "x"}]},
            "unknown_field",
            "/c/inners/0/wdth",
            "'width'",
        ),
        ({"txt": 1}, "unknown_field", "/c/txt", "did you mean 'text'?"),
        ({"renamed": 1}, "unknown_field", "/c/renamed", "did you mean 'reName'?"),
        ({"text": "forbidden"}, "invalid_config", "/c", "this text is forbidden"),
        ({"number": "a {{ x }}"}, "invalid_config", "/c/number", "whole string one expression"),
        ({"level": "a {{ x }}"}, "invalid_config", "/c/level", "whole string one expression"),
        ({"names": "a {{ x }}"}, "invalid_config", "/c/names", "whole string one expression"),
        ({"names": ["{{ x }}", 5]}, "invalid_config", "/c/names/1", "Expected `str`"),
        ({"inner": {"width": "{{ x }}", "label": 5}}, "invalid_config", "/c/inner/label", "Expected `str`"),
        ({"either": ["{{ x }}", "b"]}, "invalid_config", "/c/either/1", "Expected `int`"),
    ],
)
def test_what_cannot_fit_is_refused_where_it_is(
    config: dict[str, JsonValue], code: str, pointer: str, words: str
) -> None:
    """The first problem is the one that the case is about."""
    found = problems(**config)
    assert (found[0].code, found[0].pointer) == (code, pointer)
    assert words in found[0].message


def test_every_wrong_field_is_reported() -> None:
    """Not only the first, as msgspec would."""
    found = problems(text=1, number="x", names=[1, "a", 2], inner={"width": "a", "label": 1}, zz=1)
    assert sorted(problem.pointer for problem in found) == [
        "/c/inner/label",
        "/c/inner/width",
        "/c/names/0",
        "/c/names/2",
        "/c/number",
        "/c/text",
        "/c/zz",
    ]


def test_a_missing_field_is_named() -> None:
    """Required fields without a value."""
    report = Report()
    check_config({}, Sample, "/c", report, is_sole)
    (problem,) = report.problems()
    assert (problem.code, problem.pointer) == ("missing_field", "/c/text")


def test_wrong_items_among_many_are_found_in_order() -> None:
    """Wherever they are, with and without templates among them."""
    names: list[JsonValue] = [1 if place in (0, 77, 78, 999) else "x" for place in range(1000)]
    pointers = ["/c/names/0", "/c/names/77", "/c/names/78", "/c/names/999"]
    assert [problem.pointer for problem in problems(names=names)] == pointers
    names[500] = "{{ x }}"
    assert [problem.pointer for problem in problems(names=names)] == pointers


def test_what_does_not_fit_past_the_report_is_counted_and_not_looked_into() -> None:
    """A list of thousands counts as one, and the last line says that it may be more."""
    found = problems(names=[1] * 5000)
    assert [problem.pointer for problem in found[:-1]] == [
        f"/c/names/{place}" for place in range(MAX_PROBLEMS)
    ]
    assert found[-1].message.startswith("and at least ")
