"""Levers: percent → the objects that make it so, and live objects → the percent that they give. Pure."""
