"""What the proofs of the image buffer and of the feature maps share: both read a map memory."""

from .bits import Bits, prove
from .netlist import Frame, Netlist
from .streams import stays

__all__ = ["find_read_data", "rows_move_on"]


def find_read_data(netlist: Netlist, word: str, inside: str = "") -> str:
    """Name of the register behind a memory: what goes from there into ``word``. Amaranth has no name for it."""
    now = netlist.frame("now")
    then = now.next("then")
    for name in netlist.names:
        if name.replace("\\", "").startswith(f"{inside}$signature__data"):
            try:
                prove({"moves on": (then[word] == now[name]) | (then[word] == now[word])})
                return name
            except AssertionError:
                continue
    raise LookupError(f"no register feeds {word}")


def rows_move_on(now: Frame, then: Frame, inside: str = "") -> dict[str, Bits]:
    """Rows come as long as some are ``to_go``, and none but those."""
    none, held, read = ~now["o__valid"], now[f"{inside}held"], now[f"{inside}read"]
    later = then["o__valid"] | then[f"{inside}held"] | then[f"{inside}read"]
    return stays(now, then) | {
        "only what was asked for": now["o__valid"].implies(now["to_go"] != 0),
        "rows move on": ((now["to_go"] != 0) & none).implies(later),
        "and on": (none & held).implies(then["o__valid"]),
        "and on from the memory": (none & ~held & read).implies(then[f"{inside}held"]),
    }
