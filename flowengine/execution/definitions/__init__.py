"""Definitions: documents that are applied under their names, and their versions. Pure."""
