"""cocotb benches, one module a component, in rooms as in `fivebyfive.hw`; each compares with the golden model."""

from pathlib import Path

__all__ = ["find_bench"]


def find_bench(component: str) -> str:
    """Full name of the module with the bench of a component, which has the name of the component's own module.

    Raises ModuleNotFoundError where there is none.
    """
    room = Path(__file__).parent
    for path in room.rglob(f"{component}.py"):
        return ".".join([__name__, *path.relative_to(room).with_suffix("").parts])
    raise ModuleNotFoundError(f"no bench named {component} in {room.name}")
