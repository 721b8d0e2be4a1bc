"""Jobs of the commands: training runs, exports of samples, reconstructions and completions, and benchmarks."""
