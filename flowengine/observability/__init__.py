"""What a running process says about itself: log lines. Knows nothing of who reads them."""

from flowengine.observability.logs import configure_logs, log_uncaught_errors, redact_prints, set_redactor

__all__ = ["configure_logs", "log_uncaught_errors", "redact_prints", "set_redactor"]
