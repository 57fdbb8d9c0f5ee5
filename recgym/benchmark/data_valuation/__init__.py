"""The bench of DataValuation."""
