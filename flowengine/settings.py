"""Every setting, in one typed place: environment variables and `.env`."""

from __future__ import annotations

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one workflow, node or execution may take."""

    max_nodes: int = 1000
    max_config_bytes: int = 10 * 1024
    max_template_chars: int = 500
    max_body_bytes: int = 12 * 1024 * 1024
    max_yaml_bytes: int = 2 * 1024 * 1024
    max_result_bytes: int = 1024 * 1024
    max_read_bytes: int = 16 * 1024 * 1024
    max_execution_result_bytes: int = 64 * 1024 * 1024
    max_rendered_chars: int = 1024 * 1024


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one process. Durations are seconds unless the name says otherwise."""

    redis_url: str = "redis://localhost:6379/0"
    limits: Limits = Limits()
    retention_s: int = 7 * 24 * 3600
    lease_s: float = 12.0
    sweep_s: float = 60.0
    max_deliveries: int = 3
    grace_s: float = 30.0
    max_unfinished_executions: int = 100_000
    memory_limit_ratio: float = 0.85
    handlers: tuple[str, ...] = ()
    llm_base_url: str | None = None
    llm_api_key: str | None = None
    egress: str = "private"
    api_keys: tuple[str, ...] = ()
    log_level: str = "info"
    log_format: str = "auto"
