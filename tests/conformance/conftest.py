"""The checker is a package of its own, beside the tests that use it."""

import os
import sys

sys.path.insert(0, os.path.dirname(__file__))  # for conventions and generated
