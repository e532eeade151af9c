"""The election, searched: the operator's own code, in processes that are stopped, killed and cut off wherever that can hurt."""
