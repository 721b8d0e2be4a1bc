"""Whole jobs: `ddmi run`, samples, reconstructions and completions as files, and benchmarks."""
