"""Actions → API calls."""
