"""Key → Snapshot: all reads, and nothing but reads."""
