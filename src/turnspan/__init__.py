"""turnspan records what your agents did, turn by turn."""

__version__ = "0.1.0"
