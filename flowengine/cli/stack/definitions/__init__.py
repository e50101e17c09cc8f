"""Commands about definitions: apply, diff, definitions."""
