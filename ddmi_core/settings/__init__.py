"""Settings of a run: classes, layers of presets, files and options, strict conversion, and introspection."""
