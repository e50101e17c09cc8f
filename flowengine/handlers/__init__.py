"""The built-in handlers, and what finds, calls and guards the handlers of a process.

Imports nothing: the orchestrator needs the secrets, and no handler (`flowengine.handlers.all_builtin`).
"""
