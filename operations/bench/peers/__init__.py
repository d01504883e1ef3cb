"""Headrace beside other programs that do the same work: ``make bench-peers``, explained in docs/benchmarks.md."""
