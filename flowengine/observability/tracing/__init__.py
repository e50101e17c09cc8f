"""Traces: which trace an execution belongs to, and the spans of executions, attempts and calls.

While traces are off, nothing here costs more than a look at one attribute. OpenTelemetry is imported by
`exporting` alone, and only if traces are on.
"""
