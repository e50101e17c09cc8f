"""FlowEngine: declarative, durable workflows on Litestar, Dramatiq and Redis."""

__version__ = "0.2.0"
