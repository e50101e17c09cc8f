"""Workflows of other tools as documents of FlowEngine: `flowengine import`. One module per format."""
