"""The engine around the verbs: which key is reconciled when, who may write, and whether the process is healthy."""
