"""Decision → status, RolloutRun, Events, metrics."""
