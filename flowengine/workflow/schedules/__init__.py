"""The schedules of a document: what they say, and the times that they mean. Pure."""
