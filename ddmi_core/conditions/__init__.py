"""Ready conditions: texts as vectors, for any domain whose signals have captions."""
