"""The trainer that serves every stage of every domain."""
