"""Measurements by hand: what they found is in docs/performance.md."""
