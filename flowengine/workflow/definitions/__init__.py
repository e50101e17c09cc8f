"""Documents that are applied under their names: read, checked, compared. Pure."""
