"""What a running process tells about itself: log lines. Who reads them is not known here."""

from flowengine.observability.logs import configure_logs, set_redactor

__all__ = ["configure_logs", "set_redactor"]
