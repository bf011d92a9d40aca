"""Proofs are not traced for the coverage of the Python code: slower, and other tests build the same hardware."""

from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("no_cover")
