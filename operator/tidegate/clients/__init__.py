"""Transport to the Kubernetes API and to Prometheus: bytes, limits and typed errors, no knowledge of rollouts."""
