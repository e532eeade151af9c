"""What one FeatureRollout should do next."""

from tidegate.decide.rollout.plan import decide

__all__ = ["decide"]
