"""The table of settings: one row each. Loading, the reference and `.env.example` all come from it."""

from __future__ import annotations

import msgspec

from flowengine.settings.model import Egress, LogFormat, LogLevel, Settings, Traces
from flowengine.settings.parsing import (
    Parser,
    Value,
    choice,
    file_path,
    host_names,
    http_methods,
    http_url,
    key_entries,
    modules,
    number,
    switch,
    text,
    whole,
)
from flowengine.settings.redis_url import redis_url
from flowengine.settings.webhook_key import webhook_key


class Setting(msgspec.Struct, frozen=True):
    """One setting. `field` is its path in Settings.

    With `from_file`, NAME_FILE may name a file that holds the value.
    """

    name: str
    field: str
    parser: Parser
    summary: str
    from_file: bool = False

    def default(self) -> Value:
        """The value when nothing is set."""
        value: object = Settings()
        for part in self.field.split("."):
            value = getattr(value, part)
        assert value is None or isinstance(value, str | int | float | bool | tuple)
        return value


_GIB = 1024**3
_DAY = 24 * 3600

SETTINGS: tuple[Setting, ...] = (
    Setting("REDIS_URL", "redis_url", redis_url(), "Redis or Valkey: state and queues.", from_file=True),
    Setting(
        "LLM_BASE_URL",
        "llm_base_url",
        http_url(),
        "Base URL of the OpenAI-compatible API that `llm_service` calls.",
    ),
    Setting("LLM_API_KEY", "llm_api_key", text(), "Key for that API.", from_file=True),
    Setting("LLM_MODEL", "llm_model", text(), "Model for nodes that name none."),
    Setting(
        "LLM_IDLE_SECONDS",
        "llm_idle_s",
        number(0.1, 3600),
        "How long that API may send nothing, before a call of it counts as hung.",
    ),
    Setting(
        "FLOWENGINE_SECRETS_IN_PROMPTS",
        "limits.secrets_in_prompts",
        switch(),
        "Let workflows put secrets into what a language model reads.",
    ),
    Setting("FLOWENGINE_HANDLERS", "handlers", modules(), "Modules with your own handlers."),
    Setting(
        "FLOWENGINE_EGRESS",
        "egress",
        choice(Egress),
        "Where HTTP handlers connect: `public` addresses, `private` networks too, or `any` (loopback too).",
    ),
    Setting(
        "FLOWENGINE_HTTP_METHODS",
        "http_methods",
        http_methods(),
        "More methods that HTTP nodes may use, besides GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS.",
    ),
    Setting(
        "FLOWENGINE_CA_FILE",
        "ca_file",
        file_path(),
        "Certificates (PEM) of authorities that HTTP handlers trust, besides the usual ones.",
    ),
    Setting(
        "FLOWENGINE_RETRY_BASE_SECONDS",
        "retry_base_s",
        number(0, 60),
        "First wait of the HTTP handlers before a retry; doubled each time.",
    ),
    Setting(
        "FLOWENGINE_WEBHOOK_KEY",
        "webhook_key",
        webhook_key(),
        "Key that results are signed with where they are sent to a `callback_url`; the API and the workers "
        "need the same. Without it no workflow is accepted with one.",
        from_file=True,
    ),
    Setting(
        "FLOWENGINE_HOST",
        "api_host",
        text(),
        "Address the API listens on. Without keys only a loopback address is allowed.",
    ),
    Setting("FLOWENGINE_PORT", "api_port", whole(0, 65535), "Port the API listens on; 0 picks a free one."),
    Setting(
        "FLOWENGINE_PUBLIC_URL",
        "limits.public_url",
        http_url(),
        "Where other services reach the API: the base of callback URLs. Default: its own address, if it "
        "listens on loopback; otherwise workflows with `wait_for_callback` are refused.",
    ),
    Setting(
        "FLOWENGINE_API_KEYS",
        "api_keys",
        key_entries(),
        "Keys of the API besides those in Redis, with their roles. Once there is a key, every route but "
        "`/health`, `/docs` and `/session` asks for one. An entry without a role is `admin`.",
        from_file=True,
    ),
    Setting("FLOWENGINE_INSECURE", "insecure", switch(), "Let the API listen beyond loopback without keys."),
    Setting(
        "FLOWENGINE_SERVED_HOSTS",
        "served_hosts",
        host_names(),
        "Names the API answers to (the Host header). Default: loopback names, or any once keys or "
        "FLOWENGINE_INSECURE are set.",
    ),
    Setting(
        "FLOWENGINE_API_TIMEOUT_SECONDS",
        "api_timeout_s",
        number(0.1, 60),
        "How long the API waits for Redis before it answers 503.",
    ),
    Setting(
        "FLOWENGINE_METRICS_PORT",
        "metrics_port",
        whole(0, 65535),
        "Port of the metrics of orchestrators and workers: each process takes the first free one from there "
        "on. 0: none.",
    ),
    Setting(
        "FLOWENGINE_METRICS_HOST",
        "metrics_host",
        text(),
        "Address on which those metrics are served, to everyone who reaches it.",
    ),
    Setting(
        "FLOWENGINE_TRACES",
        "traces",
        choice(Traces),
        "Send spans by OpenTelemetry (the extra `otel`): `otlp`, where OTEL_EXPORTER_OTLP_ENDPOINT says.",
    ),
    Setting("FLOWENGINE_LOG_LEVEL", "log_level", choice(LogLevel), "Least level that is logged."),
    Setting(
        "FLOWENGINE_LOG_FORMAT",
        "log_format",
        choice(LogFormat),
        "`json` lines, readable `console`, or `auto`: console on a terminal.",
    ),
    Setting(
        "FLOWENGINE_RETENTION_SECONDS",
        "retention_s",
        whole(60, 3650 * _DAY),
        "How long an execution is kept after it ended, or when it was never triggered.",
    ),
    Setting(
        "FLOWENGINE_DEFINITION_VERSIONS",
        "definition_versions",
        whole(1, 10_000),
        "Versions of a definition that are kept at least; older ones go when no execution of them is kept.",
    ),
    Setting(
        "FLOWENGINE_MAX_UNFINISHED_EXECUTIONS",
        "max_unfinished_executions",
        whole(1, 10_000_000),
        "Executions that may wait or run at once; more are answered 429.",
    ),
    Setting(
        "FLOWENGINE_MEMORY_LIMIT_RATIO",
        "memory_limit_ratio",
        number(0.1, 1),
        "Share of Redis's `maxmemory` above which new work is refused.",
    ),
    Setting(
        "FLOWENGINE_MAX_STORED_BYTES",
        "max_stored_bytes",
        whole(0, 1024 * _GIB),
        "Bytes that Redis may use before new work is refused. 0: only FLOWENGINE_MEMORY_LIMIT_RATIO counts, "
        "or half of the memory of Redis's machine where there is no `maxmemory`.",
    ),
    Setting(
        "FLOWENGINE_LEASE_SECONDS",
        "lease_s",
        number(0.5, 3600),
        "How long a silent worker keeps its nodes before others take them over.",
    ),
    Setting(
        "FLOWENGINE_MAX_DELIVERIES",
        "max_deliveries",
        whole(1, 1000),
        "Starts of a node that kills its worker, before the node fails.",
    ),
    Setting(
        "FLOWENGINE_UNKNOWN_HANDLER_SECONDS",
        "unknown_handler_s",
        number(0, 7 * _DAY),
        "How long a node waits for a worker that knows its handler. 0: it fails at the first that does not.",
    ),
    Setting(
        "FLOWENGINE_SWEEP_SECONDS",
        "sweep_s",
        number(0.1, _DAY),
        "How often executions that do not move are looked at again.",
    ),
    Setting(
        "FLOWENGINE_GRACE_SECONDS",
        "grace_s",
        number(0, 3600),
        "How long a process that is told to stop waits for what it runs.",
    ),
    Setting(
        "FLOWENGINE_CONCURRENCY",
        "concurrency",
        whole(1, 10_000),
        "Nodes of async handlers that a worker process runs at once, beside those that its threads run.",
    ),
    Setting(
        "FLOWENGINE_STOP_SECONDS",
        "stop_s",
        number(0, 3600),
        "How long the nodes that run get to end when their execution is stopped.",
    ),
    Setting("FLOWENGINE_MAX_NODES", "limits.max_nodes", whole(1, 10_000), "Nodes of one workflow."),
    Setting("FLOWENGINE_MAX_MAP_ITEMS", "limits.max_map_items", whole(1, 100_000), "Items of one map."),
    Setting(
        "FLOWENGINE_MAX_CONFIG_BYTES",
        "limits.max_config_bytes",
        whole(1, 16 * 1024**2),
        "Bytes of one node's `config` as JSON; `llm_service` may have 65536 in any case.",
    ),
    Setting(
        "FLOWENGINE_MAX_TEMPLATE_CHARS",
        "limits.max_template_chars",
        whole(1, 100_000),
        "Characters of one `{{ ... }}` of a template.",
    ),
    Setting("FLOWENGINE_MAX_BODY_BYTES", "limits.max_body_bytes", whole(1, _GIB), "Bytes of a request body."),
    Setting(
        "FLOWENGINE_MAX_YAML_BYTES",
        "limits.max_yaml_bytes",
        whole(1, 64 * 1024**2),
        "Bytes of a request body or file in YAML.",
    ),
    Setting(
        "FLOWENGINE_MAX_RESULT_BYTES",
        "limits.max_result_bytes",
        whole(1, _GIB // 4),
        "Bytes of one node's result as JSON.",
    ),
    Setting(
        "FLOWENGINE_MAX_READ_BYTES",
        "limits.max_read_bytes",
        whole(1, _GIB),
        "Bytes of results that one node may read.",
    ),
    Setting(
        "FLOWENGINE_MAX_EXECUTION_RESULT_BYTES",
        "limits.max_execution_result_bytes",
        whole(1, 4 * _GIB),
        "Bytes of all results of one execution.",
    ),
    Setting(
        "FLOWENGINE_MAX_RENDERED_CHARS",
        "limits.max_rendered_chars",
        whole(1, _GIB // 4),
        "Characters that all templates of one config may render to together.",
    ),
)

# Read by compose.yaml, or by those who ask a stack, not by its processes: no mistake where they stand.
READ_ELSEWHERE = frozenset(
    {
        "FLOWENGINE_WORKER_PROCESSES",
        "FLOWENGINE_WORKER_THREADS",
        "FLOWENGINE_REDIS_MAXMEMORY",
        "FLOWENGINE_REDIS_MEMORY",
        "FLOWENGINE_PYTHON_IMAGE",
        "FLOWENGINE_URL",
        "FLOWENGINE_KEY",
    }
)

BY_NAME = {setting.name: setting for setting in SETTINGS}
