"""Parts for domains whose signals are regular grids: their coordinates in training, and their rendering."""
