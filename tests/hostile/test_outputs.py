"""Answers and inputs made to hurt: each fails its node at once, and costs next to nothing."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import msgspec
import pytest

from flowengine.handlers.http.answer import count_marks
from flowengine.handlers.loading import load_registry
from flowengine.jsonvalue import JsonValue, encode
from flowengine.plugin import HandlerError
from tests.hostile.measured import bounded
from tests.support.rigs.handler_runs import Runs, running
from tests.support.servers.http_server import HttpServer, Reply, gzip_bomb, serving

MEGABYTE = 1024 * 1024


def json_body(body: bytes) -> Reply:
    """An answer that claims to be JSON."""
    return Reply(headers={"Content-Type": "application/json"}, body=body)


ANSWERS = {
    "eleven megabytes": (Reply(body=bytes(11 * MEGABYTE)), "response_too_large"),
    "gzip bomb": (gzip_bomb(100), "response_too_large"),
    "gzip of a gzip": (
        Reply(headers={"Content-Encoding": "gzip, gzip"}, body=b"x"),
        "invalid_response",
    ),
    "no gzip at all": (Reply(headers={"Content-Encoding": "gzip"}, body=b"x" * 99), "invalid_response"),
    "ten megabytes of empty lists": (json_body(b"[" + b"[]," * 3_495_000 + b"0]"), "response_too_large"),
    "ten megabytes of objects": (json_body(b"[" + b'{"":0},' * 1_497_000 + b"0]"), "response_too_large"),
    "ten megabytes of numbers": (json_body(b"[" + b"1.5," * 2_621_000 + b"0]"), "response_too_large"),
    "lists that do not say they are JSON": (
        Reply(body=b"[" + b"[]," * 3_495_000 + b"0]"),
        "response_too_large",
    ),
    "ten megabytes of wide text": (
        Reply(body=b"x" * 10_000_000 + "😀".encode()),
        "response_too_large",
    ),
    "endless header": (Reply(headers={"X-A": "x" * 200_000}), "connection_failed"),
}


@pytest.fixture
def server() -> Iterator[HttpServer]:
    """A server of the test's own."""
    with serving() as made:
        yield made


@pytest.fixture
def runs() -> Iterator[Runs]:
    """Handlers that may call it."""
    with running() as made:
        yield made


def failing_cheaply(runs: Runs, name: str, config: dict[str, JsonValue]) -> str:
    """The code that it fails with, within a second of all threads' CPU and 50 MB."""

    def fail() -> str:
        with pytest.raises(HandlerError) as caught:
            runs.run(name, config)
        return caught.value.code

    return bounded(fail, clock=time.process_time)


@pytest.mark.proves("hostile-output")
@pytest.mark.parametrize("case", ANSWERS)
def test_a_hostile_answer_fails_its_node_cheaply(runs: Runs, server: HttpServer, case: str) -> None:
    """Within a second of CPU and 50 MB."""
    reply, code = ANSWERS[case]
    server.answers("/x", reply)
    assert failing_cheaply(runs, "http_request", {"url": server.url("/x")}) == code


READ: dict[str, tuple[bytes, JsonValue | type[str]]] = {
    "depth 100,000": (b"[" * 100_000, str),
    "closed depth 10,000": (b"[" * 10_000 + b"]" * 10_000, str),
    "objects of depth 900": (b'{"a":' * 900 + b"1" + b"}" * 900, str),
    "not a number": (b'{"a": NaN}', {"a": None}),
    "infinite": (b"[1e999]", [None]),
    "huge integer": (b"9" * 1_000_000, None),
    "huge exponent": (b"[1e" + b"9" * 500_000 + b"]", [None]),
    "invalid UTF-8": (b"{\xff}", str),
    "lone surrogate": (b'"\\ud800"', "\ufffd"),
    "many lone surrogates": (b'["' + b"\\ud800" * 150_000 + b'"]', ["\ufffd" * 150_000]),
    "a megabyte that is JSON but for its end": (b"[" + b"[]," * 260_000 + b"NaN", str),
    "a megabyte of NaN": (b"[" + b"NaN," * 200_000 + b"0]", [None] * 200_000 + [0]),
}


@pytest.mark.parametrize("case", READ)
def test_a_hostile_document_is_read_cheaply_or_stays_text(runs: Runs, server: HttpServer, case: str) -> None:
    """What JSON cannot carry is replaced; what is no JSON, or is nested too deeply, is text."""
    body, value = READ[case]
    server.answers("/x", json_body(body))
    output = bounded(lambda: runs.run("http_request", {"url": server.url("/x")}), clock=time.process_time)
    if value is str:
        assert (output["data"], output["json"]) == (body.decode("cp1252"), False)
    else:
        assert output["data"] == value
        assert output["warnings"]


GUESSED = {
    "random bytes": bytes(range(128, 256)) * 8000,
    "one odd byte": b"\xe4" + b" b" * 500_000,
    "Japanese": "日本語のページです。".encode("cp932") * 40_000,
    "a charset in markup that never closes": b"<meta " * 160_000 + b"\xe4",
    "charsets that never come": (b"<meta " * 33 + b"charset" + b" " * 3000) * 300 + b"\xe4",
    "a prolog that never closes": b"<?xml " + b" " * 900_000 + b"\xe4",
}


HEADERS = {
    "spaces in a charset": {"Content-Type": "text/plain; charset=" + " " * 60_000 + "!"},
    "many charsets": {"Content-Type": "text/plain" + "; charset =" * 5_000},
    "a long type": {"Content-Type": "a+" * 30_000 + "/" + "b+" * 1000},
    "a long coding": {"Content-Encoding": "none," * 10_000},
    "a long wait": {"Retry-After": "1," * 30_000},
    "a long limit": {"RateLimit": '"a";r=0;t=1,' * 5_000},
    "a long name of a limit": {"x-" + "ratelimit-" * 5_000 + "reset": "1"},
}


@pytest.mark.parametrize("case", HEADERS)
@pytest.mark.parametrize("status", [200, 429])
def test_a_hostile_header_is_read_cheaply(runs: Runs, server: HttpServer, case: str, status: int) -> None:
    """However long it is, and whatever is looked for in it."""
    server.answers("/x", Reply(status=status, headers=HEADERS[case], body=b"x" * 100))

    def ask() -> None:
        with contextlib.suppress(HandlerError):
            runs.run("http_request", {"url": server.url("/x")})

    bounded(ask, clock=time.process_time)


@pytest.mark.parametrize("case", GUESSED)
def test_guessing_a_charset_is_cheap(runs: Runs, server: HttpServer, case: str) -> None:
    """Whatever the bytes are: only the beginning of them is looked at."""
    server.answers("/x", Reply(headers={"Content-Type": "text/html"}, body=GUESSED[case]))
    output = bounded(lambda: runs.run("http_request", {"url": server.url("/x")}), clock=time.process_time)
    assert "which is a guess" in str(output["warnings"])


@pytest.mark.parametrize(
    ("name", "config", "code"),
    [
        ("compute", {"operation": "power", "a": 9**99, "b": 9**99}, "result_too_large"),
        ("compute", {"operation": "power", "a": -2, "b": 10**17 + 1}, "result_too_large"),
        ("compute", {"operation": "add", "a": "9" * 500_000, "b": 1}, "not_a_number"),
        ("transform", {"transform_type": "json_parse", "input": "[" * 500_000}, "invalid_json"),
        ("transform", {"transform_type": "json_parse", "input": "9" * 500_000}, "invalid_json"),
        (
            "transform",
            {"transform_type": "replace", "input": "x" * 100_000, "old": "x", "new": "y" * 100_000},
            "result_too_large",
        ),
        (
            "transform",
            {"transform_type": "join", "input": [""] * 100_000, "separator": "y" * 100_000},
            "result_too_large",
        ),
        (
            "aggregate",
            {"aggregate_type": "concat", "inputs": [""] * 100_000, "separator": "y" * 100_000},
            "result_too_large",
        ),
        ("transform", {"transform_type": "title", "input": ["x"] * 1000}, "wrong_input_type"),
    ],
    ids=["tower", "odd tower", "digits", "depth", "huge integer", "replace", "join", "concat", "kind"],
)
def test_a_hostile_input_fails_its_node_cheaply(
    runs: Runs, name: str, config: dict[str, JsonValue], code: str
) -> None:
    """An operation that would take gigabytes or years is refused before it begins."""
    assert failing_cheaply(runs, name, config) == code


AS_LARGE_AS_CAN_BE = {
    "lists": b"[],",
    "objects": b'{"":0},',
    "numbers": b"1.5,",
    "large integers": b"1000,",
    "lists in lists": b"[[[[[[]]]]]],",
    "lists of numbers": b"[1.5],",
}


@pytest.mark.proves("response-large")
@pytest.mark.parametrize("case", AS_LARGE_AS_CAN_BE)
def test_the_largest_answer_that_is_parsed_stays_within_bounds(
    runs: Runs, server: HttpServer, case: str
) -> None:
    """A response that just passes the count of its brackets and commas is parsed and encoded within 50 MB."""
    item = AS_LARGE_AS_CAN_BE[case]
    count = MEGABYTE // count_marks(item) - 2
    server.answers("/x", json_body(b"[" + item * count + b"0]"))
    handler = load_registry().get("http_request")
    assert handler is not None

    def result() -> int:
        return len(encode(runs.invoker.invoke(handler, {"url": server.url("/x")}, runs.context())))

    assert bounded(result, cpu_s=4.0) > MEGABYTE - 1000


@pytest.mark.parametrize("text", ["[[],[]]", '{"a": {"b": []}}', "[1,2,3,4]"])
def test_the_bound_on_an_answer_is_the_setting_of_the_worker(
    runs: Runs, server: HttpServer, text: str
) -> None:
    """The handler has no limit of its own."""
    server.answers("/x", json_body(text.encode()))
    config: dict[str, JsonValue] = {"url": server.url("/x")}
    assert runs.run("http_request", config, environment={"FLOWENGINE_MAX_RESULT_BYTES": "20"})
    with pytest.raises(HandlerError, match="FLOWENGINE_MAX_RESULT_BYTES") as caught:
        runs.run("http_request", config, environment={"FLOWENGINE_MAX_RESULT_BYTES": "4"})
    assert caught.value.code == "response_too_large"


@pytest.mark.parametrize("part", ["usage", "choices"])
def test_a_language_models_answer_is_bounded_before_it_is_parsed(
    runs: Runs, server: HttpServer, part: str
) -> None:
    """The parts of the response that are read whole are bounded too."""
    many = b"[" + b"{}," * 3_400_000 + b"{}]"
    parts = {"usage": b"{}", "choices": b'[{"message":{"content":"x"}}]'}
    parts[part] = b'{"a":' + many + b"}" if part == "usage" else many
    body = b"{" + b",".join(b'"' + name.encode() + b'":' + value for name, value in parts.items()) + b"}"
    server.answers("/chat/completions", json_body(body))
    environment = {"LLM_BASE_URL": server.url(""), "LLM_MODEL": "m"}
    with pytest.raises(HandlerError) as caught:
        bounded(lambda: runs.run("llm_service", {"prompt": "x"}, environment=environment))
    assert caught.value.code == "response_too_large"


def test_duplicate_keys_in_an_answer_keep_the_last(runs: Runs, server: HttpServer) -> None:
    """Other JSON parsers do the same. Nothing is stored twice."""
    server.answers("/x", json_body(b'{"a": 1, "a": 2}'))
    assert runs.run("http_request", {"url": server.url("/x")})["data"] == {"a": 2}


@pytest.mark.parametrize(
    "headers",
    [{"X-A": "1\r\nX-Evil: 1"}, {"X-A\r\nX-Evil": "1"}, {"X-A": "1\n\nGET /evil HTTP/1.1"}, {"X-A": "\x00"}],
)
def test_no_header_smuggles_another(runs: Runs, server: HttpServer, headers: dict[str, JsonValue]) -> None:
    """A header may hold what an upstream service returned. A header with a line break is not sent."""
    config: dict[str, JsonValue] = {"url": server.url("/x"), "headers": headers}
    assert failing_cheaply(runs, "http_request", config) == "invalid_request"
    assert server.calls == []


@pytest.mark.parametrize("path", ["/a\r\nX-Evil: 1", "/a b", "/a\x00", "/\ud800"])
def test_no_address_smuggles_a_header(runs: Runs, server: HttpServer, path: str) -> None:
    """An address with a space, a control character or a lone surrogate is not called."""
    assert failing_cheaply(runs, "http_request", {"url": server.url(path)}) == "invalid_request"
    assert server.calls == []


def test_an_answer_with_a_line_of_markup_in_its_charset_is_text(runs: Runs, server: HttpServer) -> None:
    """A charset that is not one of text is not used to decode: the body is read as UTF-8."""
    content_type = 'text/plain; charset="rot13; <script>"'
    server.answers("/x", Reply(headers={"Content-Type": content_type}, body=msgspec.json.encode("x")))
    assert runs.run("http_request", {"url": server.url("/x")})["data"] == '"x"'
