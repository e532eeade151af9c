"""Faults of what Tidegate stands on, and what they cost: run.py measures them on real processes."""
