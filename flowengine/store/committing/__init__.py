"""Transactions: from what is decided to the commands that write it."""
