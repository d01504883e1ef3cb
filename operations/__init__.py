"""Running it: command line, local broker, supervisor, tour, benchmarks."""
