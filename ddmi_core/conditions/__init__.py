"""Text conditions for domains whose signals have captions."""
