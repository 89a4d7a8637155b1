"""Dialects: the wire format of each vendor, and how a turn becomes it and comes back.

A module here sees the schema and nothing above it; exporters, readers and the server's routes
speak through it. `LOST` names the fields of a turn that the dialect does not carry.
"""
