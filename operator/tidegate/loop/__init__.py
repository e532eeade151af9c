"""The engine around the verbs: which key is looked at when, who may write, and whether the process is well."""
