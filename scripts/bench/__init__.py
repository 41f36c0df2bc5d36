"""Benchmarks: Limner beside what one would write without it, in one run on one machine."""
