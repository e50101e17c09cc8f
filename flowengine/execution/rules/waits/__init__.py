"""Rules of nodes that wait and that no worker holds: how a wait begins, and how it ends. Pure."""
