"""What a document says of nodes that wait (LANGUAGE section 7). Pure."""
