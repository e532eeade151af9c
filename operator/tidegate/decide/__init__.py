"""Snapshot → Decision. Pure: no await, no clock, no logging, no randomness."""
