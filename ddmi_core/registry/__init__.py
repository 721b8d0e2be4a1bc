"""The registry of plugins: hooks, discovery, and loading."""
