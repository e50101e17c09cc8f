"""FlowEngine: declarative, durable workflows on Litestar, Dramatiq and Redis."""

__version__ = "0.1.0"
