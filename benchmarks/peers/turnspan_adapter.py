from turnspan.testing.decorator_rules.own import own_adapter as make

__all__ = ["PACKAGES", "make"]

PACKAGES = []
