"""Agents of DataSelection: one decision for each of a user's items."""
