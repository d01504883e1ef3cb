"""The benchmarks behind ``make bench``: each figure is a ratio against a yardstick measured in the same run."""
