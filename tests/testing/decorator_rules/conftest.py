"""The rules' own tests stand on a tracer that keeps them all, and on many that don't."""

import os
import sys

sys.path.insert(0, os.path.dirname(__file__))  # for honest_tracer and broken_decorators
