"""Readers: each module fetches turns from one kind of place, named by a URL scheme.

To add one, add a file here, or an entry point of the group `turnspan.readers`: its name is its
scheme (`abc:…`, `abc+http://…` and `abc+https://…` belong to `turnspan.readers.abc`), and it offers

    from_url(url: str, *, settings: Settings) -> Reader

which opens nothing yet. A `Reader` (turnspan.readers.reader) names the fields that its dialect
does not carry; `turnspan.read` marks every turn with them. How a vendor's item becomes a `Turn` is
said in `turnspan.dialects`.
"""
