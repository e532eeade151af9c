"""The flag lever: one boolean flag of a flagd document in a ConfigMap. Pure."""
