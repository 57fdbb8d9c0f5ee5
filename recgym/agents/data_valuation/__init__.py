"""Agents of DataValuation: how much each sample of a batch is worth learning from."""
