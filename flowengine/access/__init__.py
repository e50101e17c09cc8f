"""Who may do what: roles, keys, sessions, the record of what was done. Pure data, shared by all layers."""
