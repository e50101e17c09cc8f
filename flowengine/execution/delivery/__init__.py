"""How the results of an execution reach the address that its caller has named."""
