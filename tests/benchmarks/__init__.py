"""What `make bench` measures; `docs/benchmarks.md` has the last run's numbers."""
