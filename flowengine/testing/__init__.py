"""Tests of workflows and handlers, without servers and without a network."""
