"""Data valuation: the exhibits of its paper."""
