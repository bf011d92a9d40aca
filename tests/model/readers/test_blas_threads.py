"""Matrix products in one thread, and in as many as before behind that."""

import ctypes

import pytest

from fivebyfive.model.readers import blas_threads
from fivebyfive.model.readers.blas_threads import one_blas_thread, openblas


@pytest.fixture
def functions():
    found = openblas()
    if found is None:
        pytest.skip("NumPy has another BLAS")
    count, set_count = found
    before = count()
    yield found
    set_count(before)


def test_one_thread_and_then_as_many_as_before(functions) -> None:
    count, set_count = functions
    set_count(2)
    before = count()  # one where it was built or told so
    seen = []

    def fails() -> None:
        with one_blas_thread():
            seen.append(blas_threads.blas_threads())
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert seen == [1]
    assert count() == before


def test_another_blas_is_left_alone(monkeypatch) -> None:
    monkeypatch.setattr(blas_threads, "openblas", lambda: None)
    with one_blas_thread():
        assert blas_threads.blas_threads() is None


def test_libraries_that_are_not_openblas(monkeypatch, tmp_path) -> None:
    (tmp_path / "libopenblas.so").write_text("no library")
    monkeypatch.setattr(blas_threads, "FOLDERS", (str(tmp_path),))
    assert openblas.__wrapped__() is None
    monkeypatch.setattr(ctypes, "CDLL", lambda path: object())
    assert openblas.__wrapped__() is None
