"""Exporters: each module carries turns to one kind of destination, named by a URL scheme.

A module here that has a `from_url(url, *, settings)` is an exporter; its name is its scheme.
Other packages add theirs by an entry point of the group `turnspan.exporters`.
"""
