"""Data sources: procedural cars, and objects with views from files."""
