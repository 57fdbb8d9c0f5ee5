"""The bench of DataValuation, and the exhibits of its paper."""
