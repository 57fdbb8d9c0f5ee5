"""Harm mitigation: the suite, and the exhibits of its paper."""
