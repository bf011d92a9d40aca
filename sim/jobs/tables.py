"""Tables of a network in a job: texts. A module of its own, so that no synthesis depends on data sets."""

import json
from collections.abc import Mapping

import numpy as np

__all__ = ["tables_of", "tables_text"]


def tables_text(tables: Mapping[str, np.ndarray]) -> str:
    """The tables of a network (`Checkpoint.tables`) as a text, empty where there are none."""
    return json.dumps({name: table.tobytes().hex() for name, table in tables.items()}) if tables else ""


def tables_of(text: str) -> dict[str, np.ndarray]:
    """The tables again."""
    found = json.loads(text) if text else {}
    return {name: np.frombuffer(bytes.fromhex(codes), np.int8) for name, codes in found.items()}
