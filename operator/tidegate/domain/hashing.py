"""Which users a percentage means: flagd's evaluators come in generations that hash differently."""

HASH_GENERATION = "v3"
"""That of the evaluator in this release (openfeature-flagd-core 2.x), with which its flag server answers: murmur3 over the CBOR encoding of
[flag key, targeting key]. v1 hashed with floating-point buckets, v2 the two keys put together as one string."""
