"""The sending of executions' results to their `callback_url`."""
