"""What happens next in an execution, and nothing about how.

Reads no clock, draws no random number, talks to no server: callers pass records and the time in and
carry the returned changes out, in one transaction that WATCHes what was read. That is what makes a
repeated callback harmless.

Dispatching a pending node whose parents are all completed is always safe; the rest follows from it.
"""
