"""The demo's application. It runs in the cluster, on the project's own image, and imports nothing of Tidegate: it is anybody's service."""
