"""The installation with a person in it."""

from tests.cli.conftest import days, house, loaded_days, sandbox

__all__ = ["days", "house", "loaded_days", "sandbox"]
