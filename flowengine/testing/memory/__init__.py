"""The commands of Redis that the store sends, carried out in this process by a clock of its own.

It stands where a server would: keys, transactions and every rule above them are those of production. One
thread uses it, nothing is kept, and no client of another process can come in between.
"""
