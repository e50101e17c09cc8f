"""What is wrong with an HTTP node is found when its workflow is accepted, as far as it is known then."""

from __future__ import annotations

import pytest

from flowengine.jsonvalue import JsonValue
from tests.support.documents import accepted, checked, node, only, workflow

FORM: dict[str, JsonValue] = {"content-type": "application/x-www-form-urlencoded"}
XML: dict[str, JsonValue] = {"Content-Type": "application/xml"}


def http(**config: JsonValue) -> JsonValue:
    """A document with one node that calls a service, whose address is a template."""
    config = {"url": "{{ secrets.BASE }}/x", "method": "POST", **config}
    return workflow(node("call", handler="http_request", config=config))


REFUSED: dict[str, tuple[dict[str, JsonValue], str, str]] = {
    "a nested form": ({"headers": FORM, "body": {"a": {"b": 1}}}, "body", "is nested"),
    "a nested form with a template": (
        {"headers": FORM, "body": {"a": {"b": "{{ secrets.A }}"}}},
        "body",
        "is nested",
    ),
    "a list as a form": ({"headers": FORM, "body": [1]}, "body", "must be an object"),
    "an object as XML": ({"headers": XML, "body": {"a": 1}}, "body", "as a text"),
    "files under another type": (
        {"headers": FORM, "files": {"f": {"filename": "x", "content": "y"}}},
        "files",
        "leave the header",
    ),
    "files beside a text": (
        {"body": "x", "files": {"f": {"filename": "x", "content": "y"}}},
        "body",
        "object",
    ),
    "base64 that is none": (
        {"files": {"f": {"filename": "x", "content": "!", "encoding": "base64"}}},
        "files",
        "no base64",
    ),
    "a file without a name": ({"files": {"f": {"content": "y"}}}, "files/f/filename", "required"),
    "a field that files do not have": (
        {"files": {"f": {"filename": "x", "content": "y", "mime": "a/b"}}},
        "files/f/mime",
        "unknown field",
    ),
    "CONNECT": ({"method": "connect"}, "method", "opens a tunnel"),
    "a method that is none": ({"method": "GET /x"}, "method", "not an HTTP method"),
    "a status that is none": ({"accept_status": [20]}, "accept_status/0", "100"),
    "lines of JSON from a list": (
        {"headers": {"Content-Type": "application/x-ndjson"}, "body": [1]},
        "body",
        "as a text",
    ),
    "an object as bytes": (
        {"headers": {"Content-Type": "application/octet-stream"}, "body": {"a": 1}},
        "body",
        "as a text",
    ),
    "a text with parts and no boundary": (
        {"headers": {"Content-Type": "multipart/form-data"}, "body": "--x"},
        "body",
        "boundary",
    ),
    "a header of the connection": ({"headers": {"Transfer-Encoding": "chunked"}}, "headers", "cannot be set"),
    "a header of two lines": ({"headers": {"X-A": "1\nX-B: 2"}}, "headers", "line break"),
    "a header whose name is none": ({"headers": {"X A": "{{ secrets.A }}"}}, "headers", "header name 'X A'"),
    "a header that is given twice": (
        {"headers": {"Accept": "a/b", "accept": "{{ secrets.A }}"}},
        "headers",
        "keep one",
    ),
    "a header that is given and left out": (
        {"headers": {"Accept": "a/b", "accept": None}},
        "headers",
        "keep one",
    ),
    "an address that ends in what nobody sees": (
        {"url": "http://a.test/\u00a0"},
        "url",
        "ends in a no-break space",
    ),
    "a newline in the address": ({"url": "http://a.test/\n"}, "url", "has a newline at its end"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_request_that_could_never_be_sent_is_refused(case: str) -> None:
    """With its place, although other fields hold templates."""
    config, place, words = REFUSED[case]
    problem = only(checked(http(**config)))
    assert problem.pointer == f"/nodes/0/config/{place}"
    assert words in problem.message


@pytest.mark.parametrize(
    "config",
    [
        {"headers": FORM, "body": {"a": "{{ secrets.A }}", "b": [1, "{{ secrets.B }}"]}},
        {"headers": FORM, "body": "{{ secrets.A }}"},
        {"headers": {"Content-Type": "application/vnd.ms-list+json"}, "body": {"a": 1}},
        {"headers": {"Content-Type": "image/svg.meta+json; charset=utf-8"}, "body": [1]},
        {"headers": {"content-type": "{{ secrets.A }}"}, "body": {"a": {}}},
        {"headers": "{{ secrets.A }}", "body": {"a": {}}},
        {"files": "{{ secrets.A }}"},
        {"files": {"f": "{{ secrets.A }}"}},
        {"files": {"f": ["{{ secrets.A }}"]}},
        {"files": {"f": {"filename": "{{ secrets.A }}", "content": "{{ secrets.B }}", "encoding": "base64"}}},
        {"files": {"f": {"filename": "x", "content": "!", "encoding": "{{ secrets.B }}"}}},
        {
            "files": {"f": {"filename": "x", "content": "", "content_type": "{{ secrets.A }}"}},
            "body": {"a": 1},
        },
        {"accept_status": [200, 404], "require_json": True},
        {"method": "{{ secrets.A }}"},
        {"method": "PROPFIND"},
    ],
)
def test_what_is_not_known_yet_is_left_to_the_run(config: dict[str, JsonValue]) -> None:
    """Templates, and methods that the settings of a worker may allow."""
    accepted(http(**config))
