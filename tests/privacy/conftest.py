"""The installation with a person in it."""

from tests.cli.conftest import days, house, sandbox

__all__ = ["days", "house", "sandbox"]
