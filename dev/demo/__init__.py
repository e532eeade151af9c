"""The demo: two rollouts of a real production plan on a local cluster, one that climbs and one that is taken back."""
