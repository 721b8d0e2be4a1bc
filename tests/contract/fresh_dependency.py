"""Stands for a dependency that sets an environment variable when it is imported."""

import os

os.environ["DDMI_TEST_VARIABLE"] = "1"
