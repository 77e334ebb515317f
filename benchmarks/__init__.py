"""Benchmarks of the speed and memory of the suite, compared with alternatives; README.md lists the commands."""
