"""What a process may be told: fields, types, defaults. Where values come from is not known here."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Egress: TypeAlias = Literal["public", "private", "any"]
LogLevel: TypeAlias = Literal["debug", "info", "warning", "error"]
LogFormat: TypeAlias = Literal["auto", "json", "console"]
Traces: TypeAlias = Literal["off", "otlp"]

HIDDEN = frozenset({"redis_url", "llm_api_key", "api_keys", "webhook_key"})
"""Fields whose values are shown nowhere."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one workflow, node or execution may take.

    `secrets_in_prompts`: whether workflows may put secrets into what a language model reads. `public_url`:
    where others reach the API, the base of callback URLs; empty: nowhere, None: it is not known.
    """

    max_nodes: int = 1000
    max_map_items: int = 10_000
    max_config_bytes: int = 10 * 1024
    max_template_chars: int = 500
    max_body_bytes: int = 12 * 1024 * 1024
    max_yaml_bytes: int = 2 * 1024 * 1024
    max_result_bytes: int = 1024 * 1024
    max_read_bytes: int = 16 * 1024 * 1024
    max_execution_result_bytes: int = 64 * 1024 * 1024
    max_rendered_chars: int = 1024 * 1024
    secrets_in_prompts: bool = False
    public_url: str | None = None


class HttpSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What handlers that call services over HTTP go by.

    `retry_base_s` is the wait before the second try; `max_result_bytes` is the most that a node's result
    may take as JSON; `methods` may be used besides the usual ones.
    """

    retry_base_s: float
    max_result_bytes: int
    methods: tuple[str, ...] = ()


class LlmSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The worker's language model service, as far as it is set. Its repr does not show the key.

    `idle_s` is how long the service may be silent within one call.
    """

    base_url: str | None
    api_key: str | None
    model: str | None
    http: HttpSettings
    idle_s: float = 60.0

    def __repr__(self) -> str:
        key = "***" if self.api_key else None
        return (
            f"LlmSettings(base_url={self.base_url!r}, api_key={key}, model={self.model!r}, http={self.http}, "
            f"idle_s={self.idle_s!r})"
        )


class Settings(msgspec.Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """The settings of one process. Durations are seconds unless the name says otherwise.

    No variable sets `unknown`, names that look like settings and are none, and `throwaway_server`: the server
    ends with its owner, and keeps nothing on purpose.

    Its repr shows no password, key or digest: a settings object may land in a log or a traceback.
    """

    redis_url: str = "redis://localhost:6379/0"
    limits: Limits = Limits()
    retention_s: int = 7 * 24 * 3600
    definition_versions: int = 50
    lease_s: float = 12.0
    sweep_s: float = 60.0
    max_deliveries: int = 3
    unknown_handler_s: float = 60.0
    grace_s: float = 30.0
    concurrency: int = 200
    stop_s: float = 30.0
    max_unfinished_executions: int = 100_000
    memory_limit_ratio: float = 0.85
    max_stored_bytes: int = 0
    handlers: tuple[str, ...] = ()
    llm_base_url: str | None = None
    llm_api_key: str | None = None
    llm_model: str | None = None
    llm_idle_s: float = 60.0
    egress: Egress = "private"
    http_methods: tuple[str, ...] = ()
    ca_file: str | None = None
    retry_base_s: float = 1.0
    webhook_key: str | None = None
    api_host: str = "127.0.0.1"
    api_port: int = 8000
    api_keys: tuple[str, ...] = ()
    api_timeout_s: float = 6.0
    insecure: bool = False
    served_hosts: tuple[str, ...] = ()
    metrics_port: int = 0
    metrics_host: str = "127.0.0.1"
    traces: Traces = "off"
    log_level: LogLevel = "info"
    log_format: LogFormat = "auto"
    unknown: tuple[str, ...] = ()
    throwaway_server: bool = False

    @property
    def http(self) -> HttpSettings:
        """The part of handlers that call services."""
        return HttpSettings(
            retry_base_s=self.retry_base_s,
            max_result_bytes=self.limits.max_result_bytes,
            methods=self.http_methods,
        )

    @property
    def llm(self) -> LlmSettings:
        """The part of handlers that ask language models."""
        return LlmSettings(
            base_url=self.llm_base_url,
            api_key=self.llm_api_key,
            model=self.llm_model,
            http=self.http,
            idle_s=self.llm_idle_s,
        )

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{name}={'***' if name in HIDDEN else repr(getattr(self, name))}"
            for name in self.__struct_fields__
            if getattr(self, name) != getattr(_DEFAULTS, name)
        )
        return f"Settings({shown})"


_DEFAULTS = Settings()
