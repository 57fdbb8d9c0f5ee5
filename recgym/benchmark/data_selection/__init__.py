"""The bench and the studies of DataSelection."""
