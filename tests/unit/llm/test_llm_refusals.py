"""What services say in place of an answer, byte for byte, and what each of it means."""

# ruff: noqa: E501 - recorded answers are easier to compare in few lines
from __future__ import annotations

import time

import pytest

from flowengine.handlers.llm.answers.provider_error import (
    MAX_SENTENCE_CHARS,
    is_error,
    refusal_in,
    refusal_in_text,
    sentence_of,
    without_key,
)
from flowengine.handlers.llm.answers.tolerant_json import read_tolerant
from flowengine.handlers.llm.failure_table import Refusal, meaning_of
from flowengine.handlers.secrets.redaction import Secrets
from flowengine.handlers.secrets.shown_text import redacting

SAID: list[tuple[str, int, bytes, str, bool, str]] = [
    # OpenAI
    ("openai key", 401,
     b'{"error":{"message":"Incorrect API key provided: sk-abc.","type":"invalid_request_error","param":null,'
     b'"code":"invalid_api_key"}}',
     "llm_auth_failed", False, "Incorrect API key provided"),
    ("openai model", 404,
     b'{"error":{"message":"The model `gpt-9` does not exist or you do not have access to it.",'
     b'"type":"invalid_request_error","param":null,"code":"model_not_found"}}',
     "llm_model_not_found", False, "The model `gpt-9` does not exist"),
    ("openai project without the model", 403,
     b'{"error":{"message":"Project `p` does not have access to model `gpt-4o`","type":"invalid_request_error",'
     b'"param":null,"code":"model_not_found"}}',
     "llm_model_not_found", False, "does not have access"),
    ("openai context", 400,
     b'{"error":{"message":"This model\'s maximum context length is 8192 tokens. However, your messages '
     b'resulted in 9001 tokens. Please reduce the length of the messages.","type":"invalid_request_error",'
     b'"param":"messages","code":"context_length_exceeded"}}',
     "llm_context_length_exceeded", False, "maximum context length is 8192"),
    ("openai parameter", 400,
     b'{"error":{"message":"Unsupported parameter: \'max_tokens\' is not supported with this model. Use '
     b'\'max_completion_tokens\' instead.","type":"invalid_request_error","param":"max_tokens",'
     b'"code":"unsupported_parameter"}}',
     "llm_bad_request", False, "Use 'max_completion_tokens' instead"),
    ("openai rate", 429,
     b'{"error":{"message":"Rate limit reached for gpt-4 in organization org-1 on tokens per min (TPM): Limit '
     b'10000, Used 9800, Requested 400. Please try again in 1.2s.","type":"tokens","param":null,'
     b'"code":"rate_limit_exceeded"}}',
     "llm_rate_limited", True, "Rate limit reached"),
    ("openai quota", 429,
     b'{"error":{"message":"You exceeded your current quota, please check your plan and billing details.",'
     b'"type":"insufficient_quota","param":null,"code":"insufficient_quota"}}',
     "llm_quota_exceeded", False, "You exceeded your current quota"),
    ("openai server", 500,
     b'{"error":{"message":"The server had an error while processing your request. Sorry about that!",'
     b'"type":"server_error","param":null,"code":null}}',
     "http_server_error", True, "The server had an error"),
    ("openai overloaded", 503, b'{"error":{"message":"The engine is currently overloaded","type":"server_error"}}',
     "http_server_error", True, "overloaded"),
    # Azure
    ("azure filter", 400,
     b'{"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI\'s content '
     b'management policy.","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":'
     b'{"code":"ResponsibleAIPolicyViolation","content_filter_result":{"hate":{"filtered":true}}}}}',
     "llm_content_filtered", False, "The response was filtered"),
    ("azure deployment", 404,
     b'{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}',
     "llm_model_not_found", False, "deployment"),
    ("azure key", 401,
     b'{"error":{"code":"401","message":"Access denied due to invalid subscription key or wrong API endpoint."}}',
     "llm_auth_failed", False, "Access denied"),
    ("azure rate", 429,
     b'{"error":{"code":"429","message":"Requests have exceeded call rate limit. Please retry after 17 seconds."}}',
     "llm_rate_limited", True, "retry after 17 seconds"),
    # llama.cpp, recorded
    ("llama.cpp context", 400,
     b'{"error":{"code":400,"message":"request (431 tokens) exceeds the available context size (256 tokens), '
     b'try increasing it","type":"exceed_context_size_error","n_prompt_tokens":431,"n_ctx":256}}',
     "llm_context_length_exceeded", False, "exceeds the available context size"),
    ("llama.cpp format", 400,
     b'{"error":{"code":400,"message":"response_format type must be one of \\"text\\" or \\"json_object\\", but '
     b'got: jsonobject","type":"invalid_request_error"}}',
     "llm_bad_request", False, "must be one of"),
    ("llama.cpp address", 404, b'{"error":{"message":"File Not Found","type":"not_found_error","code":404}}',
     "llm_not_configured", False, "check LLM_BASE_URL"),
    ("llama.cpp loading", 503,
     b'{"error":{"message":"Loading model","type":"unavailable_error","code":503}}',
     "http_server_error", True, "Loading model"),
    ("llama.cpp key", 401,
     b'{"error":{"message":"Invalid API Key","type":"authentication_error","code":401}}',
     "llm_auth_failed", False, "Invalid API Key"),
    # vLLM, before and after it took OpenAI's form
    ("vllm model", 404,
     b'{"object":"error","message":"The model `x` does not exist.","type":"NotFoundError","param":null,"code":404}',
     "llm_model_not_found", False, "does not exist"),
    ("vllm context", 400,
     b'{"error":{"message":"This model\'s maximum context length is 4096 tokens. However, you requested 5000 '
     b'tokens.","type":"BadRequestError","param":null,"code":400}}',
     "llm_context_length_exceeded", False, "4096"),
    ("vllm key", 401, b'{"error":"Unauthorized"}', "llm_auth_failed", False, "Unauthorized"),
    ("vllm field", 422,
     b'{"detail":[{"type":"missing","loc":["body","messages",0,"role"],"msg":"Field required","input":{}}]}',
     "llm_bad_request", False, "Field required (at body.messages.0.role)"),
    # litellm's proxy
    ("litellm context", 400,
     b'{"error":{"message":"litellm.ContextWindowExceededError: litellm.BadRequestError: OpenAIException - too '
     b'long","type":null,"param":null,"code":"400"}}',
     "llm_context_length_exceeded", False, "too long"),
    ("litellm model", 400,
     b'{"error":{"message":"/chat/completions: Invalid model name passed in model=x. Call `/v1/models` to view '
     b'available models for your key.","type":"invalid_request_error","param":"model","code":"400"}}',
     "llm_model_not_found", False, "Invalid model name"),
    ("litellm rate", 429,
     b'{"error":{"message":"litellm.RateLimitError: No deployments available for selected model, Try again in 5 '
     b'seconds.","type":"None","param":"None","code":"429"}}',
     "llm_rate_limited", True, "Try again in 5 seconds"),
    ("litellm budget", 400,
     b'{"error":{"message":"Budget has been exceeded! Current cost: 1.2, Max budget: 1.0","type":"budget_exceeded",'
     b'"param":null,"code":"400"}}',
     "llm_quota_exceeded", False, "Budget has been exceeded"),
    ("litellm policy", 400,
     b'{"error":{"message":"litellm.ContentPolicyViolationError: flagged","type":null,"param":null,"code":"400"}}',
     "llm_content_filtered", False, "flagged"),
    # Ollama
    ("ollama model", 404,
     b'{"error":{"message":"model \\"x\\" not found, try pulling it first","type":"api_error","param":null,'
     b'"code":null}}',
     "llm_model_not_found", False, "try pulling it first"),
    ("ollama native", 404, b'{"error":"model \'x\' not found"}', "llm_model_not_found", False, "'x' not found"),
    ("ollama memory", 500,
     b'{"error":{"message":"model requires more system memory (9.1 GiB) than is available (3.0 GiB)",'
     b'"type":"api_error","param":null,"code":null}}',
     "http_server_error", True, "more system memory"),
    # OpenRouter, Mistral, DeepSeek, Gemini, TGI, gateways
    ("openrouter model", 400, b'{"error":{"message":"foo/bar is not a valid model ID","code":400},"user_id":"u"}',
     "llm_model_not_found", False, "foo/bar"),
    ("openrouter credit", 402, b'{"error":{"message":"Insufficient credits","code":402}}',
     "llm_quota_exceeded", False, "Insufficient credits"),
    ("openrouter provider", 429,
     b'{"error":{"message":"Provider returned error","code":429,"metadata":{"raw":"gemma is temporarily '
     b'rate-limited upstream","provider_name":"Google"}}}',
     "llm_rate_limited", True, "rate-limited upstream"),
    ("openrouter moderation", 403,
     b'{"error":{"message":"model requires moderation on OpenRouter, your input was flagged","code":403}}',
     "llm_content_filtered", False, "flagged"),
    ("mistral model", 400,
     b'{"object":"error","message":"Invalid model: foo","type":"invalid_model","param":null,"code":"1500"}',
     "llm_model_not_found", False, "Invalid model: foo"),
    ("mistral key", 401, b'{"message":"Unauthorized","request_id":"r"}', "llm_auth_failed", False, "Unauthorized"),
    ("deepseek model", 400,
     b'{"error":{"message":"Model Not Exist","type":"invalid_request_error","param":null,"code":null}}',
     "llm_model_not_found", False, "Model Not Exist"),
    ("deepseek balance", 402, b'{"error":{"message":"Insufficient Balance","type":"unknown_error"}}',
     "llm_quota_exceeded", False, "Insufficient Balance"),
    ("gemini key", 400,
     b'[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.",'
     b'"status":"INVALID_ARGUMENT"}}]',
     "llm_auth_failed", False, "API key not valid"),
    ("gemini rate", 429,
     b'[{"error":{"code":429,"message":"You exceeded your current quota. Please retry in 17.5s.",'
     b'"status":"RESOURCE_EXHAUSTED"}}]',
     "llm_rate_limited", True, "retry in 17.5s"),
    ("gemini context", 400,
     b'[{"error":{"code":400,"message":"The input token count (9) exceeds the maximum number of tokens allowed '
     b'(8).","status":"INVALID_ARGUMENT"}}]',
     "llm_context_length_exceeded", False, "token count"),
    ("tgi context", 422,
     b'{"error":"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096","error_type":"validation"}',
     "llm_context_length_exceeded", False, "must be <= 4096"),
    ("a gateway's quota", 429, b'{"error":{"message":"No more","code":"quota_exceeded"}}',
     "llm_quota_exceeded", False, "No more"),
    ("anthropic overloaded", 529,
     b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}',
     "http_server_error", True, "Overloaded"),
    ("anthropic credit", 400,
     b'{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low"}}',
     "llm_quota_exceeded", False, "credit balance"),
    ("anthropic long", 400,
     b'{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 9 tokens > 8"}}',
     "llm_context_length_exceeded", False, "prompt is too long"),
    ("fastapi address", 404, b'{"detail":"Not Found"}', "llm_not_configured", False, "Not Found"),
    ("problem document", 403, b'{"type":"about:blank","title":"Forbidden","status":403,"detail":"No entry."}',
     "llm_auth_failed", False, "No entry."),
    ("gateway", 502, b"{}", "http_server_error", True, "the service failed"),
    ("not implemented", 501, b'{"message":"no"}', "http_server_error", False, "no"),
    ("busy", 409, b'{"message":"busy"}', "http_client_error", True, "busy"),
    ("early", 425, b'{"message":"early"}', "http_client_error", True, "early"),
    ("timeout", 408, b'{"message":"slow"}', "request_timeout", True, "slow"),
    ("large", 413, b'{"message":"body too large"}', "llm_bad_request", False, "body too large"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "code", "retryable", "said"), [row[1:] for row in SAID],
                         ids=[row[0] for row in SAID])  # fmt: skip
def test_a_refusal_has_our_code_and_the_services_sentence(
    status: int, body: bytes, code: str, retryable: bool, said: str
) -> None:
    """The service's own code decides first, then its words, then the status."""
    refusal = refusal_in(read_tolerant(body), status)
    meaning = meaning_of(refusal)
    assert (meaning.code.code, meaning.retryable) == (code, retryable)
    assert said in f"{meaning.says}: {refusal.sentence}"
    assert not (meaning.retryable and meaning.code.permanent) or status in (409, 425)


@pytest.mark.parametrize(
    ("body", "code", "retryable"),
    [
        (b'{"error": {"message": "slow down", "code": 429}}', "llm_rate_limited", True),
        (b'{"error": {"message": "slow down", "code": "429"}}', "llm_rate_limited", True),
        (b'{"error": {"message": "oops", "code": 502}}', "http_server_error", True),
        (b'{"error": {"message": "oops", "code": 400}}', "llm_bad_request", False),
        (b'{"error": {"message": "no", "status": 401}}', "llm_auth_failed", False),
        (b'{"error": "model not found"}', "llm_model_not_found", False),
        (b'{"error": {"message": "oops", "type": "server_error"}}', "http_server_error", True),
        (b'{"error": {"message": "oops", "type": "invalid_request_error"}}', "llm_bad_request", False),
        (b'{"error": {"type": "overloaded_error"}}', "http_server_error", True),
        (b'{"detail": "Not authenticated"}', "llm_auth_failed", False),
        (b'{"detail": "something else"}', "invalid_response", False),
        (b'{"errors": [{"message": "rate limit", "code": 10000}]}', "llm_rate_limited", True),
        (b'{"object": "error", "message": "bad", "code": 40303}', "invalid_response", False),
        (b'{"message": "Too Many Requests"}', "llm_rate_limited", True),
        (b'[{"error": {"message": "x", "code": 503}}]', "http_server_error", True),
        (b'{"error": {"message": "x", "code": 429}, "choices": []}', "llm_rate_limited", True),
        (b'{"error": 503}', "http_server_error", True),
        (
            b'{"error": "{\\"error\\": {\\"message\\": \\"inner\\", \\"code\\": 429}}"}',
            "llm_rate_limited",
            True,
        ),
        (b'{"error": {"message": "{\\"detail\\": \\"Not authenticated\\"}"}}', "llm_auth_failed", False),
    ],
)
def test_an_error_with_status_200_is_judged_by_what_it_says(body: bytes, code: str, retryable: bool) -> None:
    """Its code inside decides about a retry; one that says nothing is not tried again."""
    document = read_tolerant(body)
    assert is_error(document)
    meaning = meaning_of(refusal_in(document, None))
    assert (meaning.code.code, meaning.retryable) == (code, retryable)


@pytest.mark.parametrize(
    "body",
    [
        b'{"choices": [{"message": {"content": "x"}}], "error": null}',
        b'{"choices": [], "error": {}}',
        b'{"choices": [], "usage": {}}',
        b'{"choices": [{"message": {"content": "x"}}], "detail": "cached"}',
        b'{"choices": [{"message": {"content": "x"}}], "errors": ["one source was not read"]}',
        b'{"model": "m"}',
        b"[]",
        b'"x"',
    ],
)
def test_what_tells_of_no_error_is_none(body: bytes) -> None:
    """An empty `error` is no error, nor is a remark beside an answer that has been paid for."""
    assert not is_error(read_tolerant(body))


def test_a_sentence_has_at_most_500_characters_in_one_line() -> None:
    """What is cut ends in `...`, where redaction looks for the beginning of a secret."""
    sentence = refusal_in({"error": {"message": "a\n b " * 5000}}, 400).sentence
    assert len(sentence) == MAX_SENTENCE_CHARS
    assert sentence.startswith("a b a b")
    assert sentence.endswith("...")


def test_a_document_without_a_sentence_is_shown_itself() -> None:
    """Something is better than nothing."""
    assert (
        refusal_in({"error": {"code": 7, "where": "x"}}, 400).sentence == '{"error":{"code":7,"where":"x"}}'
    )


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("<!DOCTYPE html><html><head><title> Sign\nin </title></head>", "a page of HTML: Sign in"),
        (
            "\n<html><body><h1>502</h1><script>x()</script> Bad <b>Gateway</b>",
            "a page of HTML: 502 Bad Gateway",
        ),
        ("<?xml version='1.0'?><Error>no</Error>", "a page of HTML: no"),
        ("<html><body>502 &amp; out<style>p {}</style> <SCRIPT>never ends", "a page of HTML: 502 & out"),
        ("<html><title lang='en'>A &lt; B</title>", "a page of HTML: A < B"),
        ("upstream connect error", "upstream connect error"),
        ("", ""),
    ],
)
def test_a_page_of_html_is_told_by_its_title_or_its_words(page: str, said: str) -> None:
    """A proxy's or a portal's page."""
    assert refusal_in_text(page, None).sentence == said


@pytest.mark.parametrize("mark", ["<script ", "<style>x</styl", "<title", "<", "<a ", "<script></script"])
def test_a_page_of_marks_without_an_end_costs_little(mark: str) -> None:
    """It is read once, whatever stands in it: 64 KiB of `<script ` once took 14 seconds."""
    page = f"<html>{mark * (1_000_000 // len(mark))}"
    began = time.thread_time()
    refusal_in_text(page, None)
    assert time.thread_time() - began < 2


@pytest.mark.parametrize(
    ("body", "wait_s"),
    [
        (b'[{"error": {"code": 429, "details": [{"@type": "Help"}, {"retryDelay": "34.5s"}]}}]', 34.5),
        (b'{"error": {"message": "slow down", "retry_after": 20}}', 20.0),
        (b'{"detail": "slow down", "retry_after_seconds": "1.5"}', 1.5),
        (b'{"error": {"message": "slow down", "retryDelay": "6m0s"}}', 360.0),
        (b'{"error": {"message": "slow down", "retry_after": "soon"}}', None),
        (b'{"error": {"message": "slow down", "retry_after": true}}', None),
    ],
)
def test_a_field_of_the_document_says_how_long_to_wait(body: bytes, wait_s: float | None) -> None:
    """Gemini names its wait in no header."""
    assert refusal_in(read_tolerant(body), 429).wait_s == wait_s


@pytest.mark.parametrize(
    "shown",
    [
        "sk-proj-****************aB3d",
        "sk-...1234",
        "sk-abc...wxyz",
        "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778",
    ],
)
def test_what_a_service_shows_of_a_refused_key_is_not_repeated(shown: str) -> None:
    """Its ends or its hash are a part of a secret, which no redaction recognises."""
    assert without_key(f"Incorrect API key: {shown}. Get one.").startswith("Incorrect API key: ***")
    assert shown not in without_key(f"Incorrect API key: {shown}")
    assert "Get one" in without_key(f"Incorrect API key: {shown} Get one")


@pytest.mark.parametrize("words", ["rate limit " * 50_000, "model " * 50_000, "x" * 500_000, "- " * 100_000])
def test_a_long_sentence_costs_nothing(words: str) -> None:
    """Only its beginning is looked at."""
    assert meaning_of(Refusal(status=400, sentence=words)).code.permanent is not None


def test_a_sentence_that_is_cut_shows_no_part_of_a_secret() -> None:
    """A service that repeats a key so often that the last one is cut in two."""
    secret = "key-" + "0123456789" * 20
    secrets = Secrets({"FLOWENGINE_SECRET_KEY": secret})
    with redacting(secrets.redact):
        said = sentence_of(" ".join([secret] * 100))
    assert "0123" not in secrets.redact(said)
