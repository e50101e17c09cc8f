"""The one layout of workflow files: `flowengine fmt`."""
