"""Measurements on a real cluster; each is a program of its own, see its --help."""
