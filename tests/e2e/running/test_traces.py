"""Traces through the whole stack, as an OpenTelemetry collector gets them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import msgspec
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.e2e.documents import node, workflow
from tests.support.rigs.stack_processes import Stack, running_stack
from tests.support.servers.http_server import HttpServer, Reply, serving
from tests.support.servers.model_server import ModelServer, completion, model_server, whole
from tests.support.waiting import wait_until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"


class Got(msgspec.Struct, frozen=True):
    """A span that the collector got."""

    name: str
    trace: str
    id: str
    parent: str
    is_error: bool
    service: str
    told: Mapping[str, Any]


@pytest.fixture(scope="module")
def collector() -> Iterator[HttpServer]:
    """Takes what OTLP exporters send; answers other calls too."""
    with serving() as server:
        server.answers("/v1/traces", Reply(headers={"Content-Type": "application/x-protobuf"}))
        yield server


@pytest.fixture(scope="module")
def model() -> Iterator[ModelServer]:
    """A language model's service."""
    with model_server() as server:
        yield server


@pytest.fixture(scope="module")
def traced(collector: HttpServer, model: ModelServer) -> Iterator[Stack]:
    """A stack that tells spans to the collector."""
    settings = {
        "FLOWENGINE_TRACES": "otlp",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url("").rstrip("/"),
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        "LLM_BASE_URL": model.base_url(),
        "LLM_MODEL": "small",
    }
    with running_stack(settings=settings) as stack:
        yield stack


def spans(collector: HttpServer, trace: str) -> dict[str, Got]:
    """What the collector has of a trace, by the spans' names."""
    found = {}
    for call in collector.called("/v1/traces"):
        for of_resource in ExportTraceServiceRequest.FromString(call.body).resource_spans:
            service = {each.key: each.value.string_value for each in of_resource.resource.attributes}
            for span in (span for scope in of_resource.scope_spans for span in scope.spans):
                told = {
                    each.key: getattr(each.value, str(each.value.WhichOneof("value")))
                    for each in span.attributes
                }
                got = Got(
                    span.name,
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.status.code == 2,
                    service["service.name"],
                    told,
                )
                found[got.name] = got
    return {name: got for name, got in found.items() if got.trace == trace}


def started(stack: Stack, document: Mapping[str, Any], **headers: str) -> str:
    """An execution of this document that has ended."""
    answer = httpx.post(
        f"{stack.url}/workflow", params={"trigger": "true", "wait": "20"}, json=document, headers=headers
    )
    return str(answer.json()["execution_id"])


def test_a_callers_trace_goes_on_through_nodes_and_calls(traced: Stack, collector: HttpServer) -> None:
    """Execution below the caller's span, nodes below the execution, calls below nodes."""
    document = workflow(
        node("fetch", "http_request", url=collector.url("/data")),
        node("broken", "http_request", after=["fetch"], url=collector.url("/missing")),
    )
    collector.answers("/missing", Reply(status=404))
    execution = started(
        traced,
        document,
        traceparent=f"00-{TRACE}-{CALLER}-01",
        **{"X-Correlation-ID": "order-4711"},
    )
    wait_until(lambda: len(spans(collector, TRACE)) >= 4, what="the spans of execution, nodes and calls")
    found = spans(collector, TRACE)
    whole_run = next(span for name, span in found.items() if name.startswith("workflow "))
    fetch, broken = found["http_request fetch"], found["http_request broken"]
    assert (whole_run.parent, whole_run.is_error, whole_run.service) == (
        CALLER,
        True,
        "flowengine-orchestrator",
    )
    assert whole_run.told["flowengine.execution.id"] == execution
    assert whole_run.told["flowengine.correlation_id"] == "order-4711"
    assert [fetch.parent, broken.parent] == [whole_run.id, whole_run.id]
    assert (fetch.is_error, broken.is_error, broken.told["error.type"]) == (False, True, "http_client_error")
    sent = collector.called("/data")[0].headers
    calls = [span for name, span in found.items() if name == "GET"]
    assert [call.service for call in calls] == ["flowengine-worker"]
    assert calls[0].told["http.response.status_code"] == 404
    assert calls[0].parent == broken.id
    version, trace, parent, flags = sent["traceparent"].split("-")
    assert (version, trace, flags) == ("00", TRACE, "01")
    assert parent not in (fetch.id, whole_run.id)
    assert sent["x-correlation-id"] == "order-4711"


def test_answers_lists_and_logs_show_the_correlation_id_alone(traced: Stack, collector: HttpServer) -> None:
    """What is carried behind it is no part of it; log lines name the trace in a field of its own."""
    trace = "a" * 32
    document = workflow(node("only", "set", value="{{ execution.correlation_id }}"))
    execution = started(
        traced, document, traceparent=f"00-{trace}-{CALLER}-01", **{"X-Correlation-ID": "order-1"}
    )
    api = traced.client
    assert api.get(f"/workflows/{execution}").json()["correlation_id"] == "order-1"
    listed = api.get("/workflows", params={"correlation_id": "order-1"}).json()["items"]
    assert [row["execution_id"] for row in listed] == [execution]
    assert api.get(f"/workflows/{execution}/results").json()["results"]["only"] == {"result": "order-1"}
    lines = [
        record
        for process in traced.processes
        for record in process.records("node.completed")
        if record.get("execution_id") == execution
    ]
    assert {(line["correlation_id"], line["trace_id"]) for line in lines} == {("order-1", trace)}
    wait_until(lambda: "set only" in spans(collector, trace), what="the node's span")
    assert lines[0]["span_id"] == spans(collector, trace)["set only"].id


def test_an_unsampled_trace_is_passed_on_and_told_to_nobody(traced: Stack, collector: HttpServer) -> None:
    """The flag of the caller holds for all that follows."""
    trace = "b" * 32
    document = workflow(node("fetch", "http_request", url=collector.url("/unsampled")))
    started(traced, document, traceparent=f"00-{trace}-{CALLER}-00")
    marker = "c" * 32
    started(traced, workflow(node("last", "set", value=1)), traceparent=f"00-{marker}-{CALLER}-01")
    wait_until(lambda: len(spans(collector, marker)) >= 2, what="the spans of what came later")
    assert spans(collector, trace) == {}
    assert collector.called("/unsampled")[0].headers["traceparent"].endswith("-00")


def test_a_models_call_tells_tokens_and_model(
    traced: Stack, collector: HttpServer, model: ModelServer
) -> None:
    """By OpenTelemetry's conventions for generative AI."""
    trace = "d" * 32
    model.answers(whole(completion("Hello", usage={"prompt_tokens": 7, "completion_tokens": 2})))
    started(
        traced,
        workflow(node("ask", "llm_service", prompt="Say hello")),
        traceparent=f"00-{trace}-{CALLER}-01",
    )
    wait_until(lambda: len(spans(collector, trace)) >= 4, what="the spans of the call")
    found = spans(collector, trace)
    told = found["chat small"].told
    assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) == (7, 2)
    assert told["gen_ai.request.model"] == "small"
    assert found["chat small"].parent == found["llm_service ask"].id
    assert found["POST"].parent == found["chat small"].id


def test_without_a_callers_trace_one_begins(traced: Stack, collector: HttpServer) -> None:
    """Its spans have no parent outside."""
    execution = started(traced, workflow(node("alone", "set", value=1)))

    def begun() -> list[str]:
        return [
            span.trace_id.hex()
            for call in collector.called("/v1/traces")
            for of_resource in ExportTraceServiceRequest.FromString(call.body).resource_spans
            for scope in of_resource.scope_spans
            for span in scope.spans
            if any(each.value.string_value == execution for each in span.attributes)
        ]

    wait_until(lambda: len(begun()) >= 2, what="the spans of execution and node")
    assert len(set(begun())) == 1
    found = spans(collector, begun()[0])
    assert [span.parent for name, span in found.items() if name.startswith("workflow ")] == [""]
