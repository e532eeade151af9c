"""What one FeatureRollout should do next: `decision.decide`. Knows no lever by name."""
