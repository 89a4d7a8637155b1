"""User code → records: decorators, handles, contexts, and the recorder under them."""
