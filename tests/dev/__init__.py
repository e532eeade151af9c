"""Tests of the tooling in dev/ that need no cluster."""
