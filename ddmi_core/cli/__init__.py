"""The command line, `ddmi`."""
