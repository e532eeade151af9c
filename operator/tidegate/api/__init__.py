"""What users write: frozen models, one file per kind, and the CRDs generated from them."""
