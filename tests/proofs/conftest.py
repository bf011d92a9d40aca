"""Of each list of seeded bugs one is refuted in every test run, the others in `make proofs` and `make test-all`."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before -m looks at the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    begun: set[tuple] = set()
    for item in items:
        if HERE in item.path.parents and "bug" in getattr(item, "fixturenames", ()):
            case = item.path, item.originalname
            if case in begun:
                item.add_marker(pytest.mark.full)
            begun.add(case)
