"""The registers of the AXI core, said once: hardware, IP-XACT, C header, docs/registers.md and driver are made of this.

All are 32 bits wide, at byte offsets in a window of 4 KiB. Plain data; nothing here knows a bus or a board.
"""

from dataclasses import dataclass

__all__ = [
    "ADDRESS_BITS", "CONV_STATE_BITS", "ID", "MAP", "VERSION", "WINDOW_BYTES", "Field", "Register", "decode", "encode",
    "field_mask", "register",
]  # fmt: skip

ADDRESS_BITS = 12  # of a byte address: 4 KiB, the least that an operating system maps
WINDOW_BYTES = 1 << ADDRESS_BITS
ID = 0x3578354C  # "L5x5" in memory
VERSION = (2, 0)  # major: old drivers no longer work; minor: they do
CONV_STATE_BITS = 6  # of eight convolutions
ACCESSES = {
    "ro": "read only",
    "rw": "read and write",
    "w1c": "read; a bit written as 1 is cleared",
    "wo": "write only; reads as 0",
}


@dataclass(frozen=True)
class Field:
    """``width`` bits from bit ``low`` on."""

    name: str
    low: int
    width: int
    doc: str

    @property
    def bits(self) -> str:
        """As data sheets write it: 15:8, or 3."""
        return f"{self.low + self.width - 1}:{self.low}" if self.width > 1 else str(self.low)

    @property
    def mask(self) -> int:
        return ((1 << self.width) - 1) << self.low


@dataclass(frozen=True)
class Register:
    """A 32-bit register at byte ``offset``.

    ``access``: a key of `ACCESSES`. ``reset``: its value after reset; None where the generated core decides.
    ``held``: of a register that can be written, the hardware beside it holds the value, not the register file.
    """

    name: str
    offset: int
    access: str
    doc: str
    fields: tuple[Field, ...]
    reset: int | None = 0
    held: bool = False

    @property
    def writable(self) -> bool:
        return self.access != "ro"


def whole(doc: str) -> tuple[Field, ...]:
    """One field of all 32 bits."""
    return (Field("value", 0, 32, doc),)


def counter(name: str, offset: int, doc: str) -> Register:
    return Register(name, offset, "ro", doc, whole("count"))


EVENTS = (
    Field("result", 0, 1, "the last word of a result was taken"),
    Field("error", 1, 1, "a bit of errors was set"),
)

MAP = (
    Register("id", 0x000, "ro", "What this core is.", whole("0x3578354C, the bytes L5x5"), ID),
    Register(
        "version", 0x004, "ro", "Version of this map.",
        (
            Field("minor", 0, 16, "drivers written for a lower one work"),
            Field("major", 16, 16, "drivers written for another one do not"),
        ),
        VERSION[0] << 16 | VERSION[1],
    ),
    Register(
        "frame", 0x008, "ro", "Frames of both streams.",
        (
            Field("pixels", 0, 20, "of an image: channels x rows x columns"),
            Field("pixel_bytes", 20, 4, "of a transfer of s_axis: 1, 2 or 4"),
            Field("result_words", 24, 8, "of 32 bits in a result: 1 + ceil(classes / 4)"),
        ),
        None,
    ),
    Register(
        "image_shape", 0x00C, "ro", "Shape of an image.",
        (
            Field("columns", 0, 8, "4 to 128"), Field("rows", 8, 8, "4 to 128"), Field("channels", 16, 8, "1 to 16"),
        ),
        None,
    ),
    Register(
        "layers", 0x010, "ro", "How many layers the network has, and what it tells apart.",
        (
            Field("convs", 0, 8, "convolutions"), Field("fc", 8, 8, "fully-connected layers"),
            Field("classes", 16, 16, "logits of a result"),
        ),
        None,
    ),
    Register(
        "network", 0x014, "ro", "A mark of the network: only weights of this one may be loaded.",
        whole("CRC-32 of checkpoint.network in the manifest"),
        None,
    ),
    Register(
        "machine", 0x018, "ro", "Size of the machine; it decides where a weight lies.",
        (
            Field("windows", 0, 3, "W: windows at once, 1, 2 or 4"),
            Field("winograd", 3, 1, "kernels are transformed: 36 products for four windows"),
            Field("skip_zeros", 7, 1, "zeros take no cycle"),
            Field("outputs", 8, 8, "O: output channels at once, 0 without convolutions"),
            Field("fc_rows", 16, 8, "R: rows of 20 multipliers, 0 without fully-connected layers"),
            Field("early_fc", 24, 1, "fc1 goes through its inputs in the outer loop"),
            Field("overlap", 25, 1, "convolutions run beside the fully-connected layers"),
            Field("packed", 26, 1, "two products in a DSP block"),
            Field("whole", 27, 1, "it takes all pixels of a transfer at once, not one by one"),
            Field("kernel", 28, 4, "K: rows and columns of a kernel in the conv array, 3 to 7"),
        ),
        None,
    ),
    Register(
        "conv_words", 0x01C, "ro", "Words in the conv weight memory: of K^2 bytes, with winograd of 72.",
        whole("words"),
        None,
    ),
    Register("fc_words", 0x020, "ro", "Words in the FC weight memory.", whole("words"), None),
    Register(
        "engines", 0x024, "ro",
        "0 for engines that take any weights; else a mark of what they were made for, and only such weights may be "
        "loaded.",
        whole("CRC-32 of the engines in the manifest"),
        None,
    ),
    Register(
        "tables", 0x028, "ro", "0 without tables; else a mark of the tables, which are constants of the core.",
        whole("CRC-32 of names and codes, table after table, by name"),
        None,
    ),
    Register(
        "control", 0x040, "wo", "Each bit that is written as 1 acts once.",
        (
            Field("soft_reset", 0, 1, "forgets all images and frame numbers; weights and other registers stay, and a "
                  "result whose first word is offered is sent to its end"),
            Field("clear_counters", 1, 1, "images, dropped, input_stalls and output_stalls become 0"),
        ),
    ),
    Register(
        "status", 0x044, "ro", "What the core is doing.",
        (
            Field("busy", 0, 1, "an image is inside: weights cannot be loaded"),
            Field("sending", 1, 1, "a result is offered on m_axis"),
            Field("state", 8, CONV_STATE_BITS, "of the conv controller; 0 is idle"),
        ),
    ),
    Register("irq_enable", 0x048, "rw", "Events that raise the interrupt.", EVENTS),
    Register("irq_status", 0x04C, "w1c", "Events that happened; interrupt is high while one is enabled.", EVENTS),
    Register(
        "errors", 0x050, "w1c", "What went wrong since each bit was cleared.",
        (
            Field("short_frame", 0, 1, "a frame with fewer pixels than an image was dropped"),
            Field("long_frame", 1, 1, "a frame with more pixels than an image was dropped"),
            Field("bad_address", 2, 1, "an access to no register, or a write to a read-only one; answered SLVERR"),
            Field("load_refused", 3, 1, "a write to load_data while busy, or past the memory's end; answered OKAY"),
        ),
    ),
    counter("images", 0x060, "Results whose last word was taken."),
    counter("dropped", 0x064, "Frames that were dropped."),
    counter("input_stalls", 0x068, "Cycles in which s_axis offered pixels and they were not taken."),
    counter("output_stalls", 0x06C, "Cycles in which m_axis offered a result and it was not taken."),
    counter("conv_cycles", 0x070, "Cycles of the conv engine for the image it finished last."),
    counter("fc_cycles", 0x074, "Cycles of the FC engine for the image it finished last."),
    counter("latency", 0x078, "Cycles from the last pixel of the last image to its result."),
    counter("interval", 0x07C, "Cycles from the result before the last one to the last one."),
    Register(
        "load_address", 0x080, "rw", "The word that load_data replaces; goes on by itself after each whole word.",
        (
            Field("address", 0, 31, "word; starts again with its first piece when written"),
            Field("memory", 31, 1, "0 conv, 1 FC"),
        ),
        held=True,
    ),
    Register(
        "load_data", 0x084, "wo", "The next four bytes of a word, the first in bits 7:0. What is beyond the word in "
        "its last piece is ignored.",
        whole(
            "a word of B bytes takes ceil(B / 4) pieces: 7 for a conv word with K = 5 (18 with winograd), 5 R for FC"
        ),
    ),
    Register(
        "load_crc", 0x088, "rw", "CRC-32 (as zlib has it) of all pieces that were taken; any write clears it.",
        whole("CRC-32 of the pieces' bytes"),
        held=True,
    ),
)  # fmt: skip

_BY_NAME = {entry.name: entry for entry in MAP}


def register(name: str) -> Register:
    """The register of that name. Raises KeyError."""
    return _BY_NAME[name]


def field_mask(name: str, field: str) -> int:
    """Bits of a field of a register. Raises KeyError."""
    return {f.name: f for f in register(name).fields}[field].mask


def decode(name: str, word: int) -> dict[str, int]:
    """Fields of a register's value."""
    return {field.name: (word & field.mask) >> field.low for field in register(name).fields}


def encode(name: str, **fields: int) -> int:
    """A register's value from its fields; those left out are 0. Raises ValueError where one does not fit."""
    word = 0
    known = {field.name: field for field in register(name).fields}
    for key, value in fields.items():
        field = known[key]
        if not 0 <= value < 1 << field.width:
            raise ValueError(f"{name}.{key} has {field.width} bits, {value} does not fit")
        word |= value << field.low
    return word
