"""The nouns that the verbs exchange: keys, readings, snapshots, decisions, actions. Frozen values, no behaviour that touches the world."""
