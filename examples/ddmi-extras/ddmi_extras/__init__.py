"""Parts of the engine of ddmi: one for each hook."""
