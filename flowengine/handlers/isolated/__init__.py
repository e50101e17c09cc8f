"""Handlers that run in a child process of the worker, which can be killed without harm to anything else."""
