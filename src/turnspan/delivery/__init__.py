"""Delivery: a thread an exporter, which empties its backlog and minds the destination."""
