"""Parts of domains whose signals are regular grids: signal sets, coordinate sampler and renderer."""
