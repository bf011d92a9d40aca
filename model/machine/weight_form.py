"""How weights are stored, and which engines read them: plain data that a `Config` carries (see `engines`)."""

import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

__all__ = ["CODES", "DENSE", "Engines", "WeightForm", "are_bits", "are_powers", "are_signs"]

KINDS = ("codes", "codebook", "signs", "powers", "xnor")


@dataclass(frozen=True)
class WeightForm:
    """``kind``: "codes", Q2.6 codes as they are; "codebook", numbers of a layer's values; "signs", the same, and each
    value is -s, 0 or s with a power of two s of the layer; "powers", the same, and each value is 0 or a power of two
    with a sign; "xnor", signs without zeros that meet activations of -1 and 1. ``values``: of each layer of the engine
    in ascending order; none for "codes"."""

    kind: str = "codes"
    values: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(tuple(one) for one in self.values))
        if self.kind not in KINDS:
            raise ValueError(f"weights are stored as one of {', '.join(KINDS)}, not {self.kind!r}")
        if (self.kind == "codes") == bool(self.values):
            raise ValueError("a codebook has values, and only a codebook")
        for one in self.values:
            if not one or list(one) != sorted(set(one)) or not all(type(v) is int and -128 <= v < 128 for v in one):
                raise ValueError(f"a codebook must have ascending Q2.6 codes, not {one}")
            if self.scaled and not are_signs(one):
                raise ValueError(f"signs are -s, 0 and s for a power of two s, not {one}")
            if self.kind == "xnor" and not are_bits(one):
                raise ValueError(f"weights of one bit are -s and s, not {one}")
            if self.kind == "powers" and not are_powers(one):
                raise ValueError(f"powers are 0 and powers of two with a sign, not {one}")

    @property
    def narrow(self) -> bool:
        """Whether weights are stored as numbers of values, not as codes."""
        return bool(self.values)

    @property
    def multiplies(self) -> bool:
        """Whether products need multipliers; else adders and shifts do."""
        return not self.scaled and self.kind != "powers"

    @property
    def scaled(self) -> bool:
        """Whether values are -1, 0 or 1 times a power of two of their layer (`shifts`)."""
        return self.kind in ("signs", "xnor")

    @property
    def shifts(self) -> tuple[int, ...]:
        """Of each layer, where weights are signs: the power of two that is their s."""
        return tuple(max(map(abs, one)).bit_length() - 1 for one in self.values)

    @property
    def bits(self) -> int:
        """Bits of a stored weight."""
        return max((len(one) - 1).bit_length() or 1 for one in self.values) if self.values else 8


def are_signs(values: tuple[int, ...]) -> bool:
    """Whether all values are -s, 0 or s for a power of two s."""
    sizes = {abs(value) for value in values} - {0}
    return len(sizes) == 1 and sizes.pop().bit_count() == 1


def are_bits(values: tuple[int, ...]) -> bool:
    """Whether the values are -s and s for a power of two s."""
    return are_signs(values) and 0 not in values and len(values) == 2


def are_powers(values: tuple[int, ...]) -> bool:
    """Whether all values are 0 or a power of two with a sign."""
    return all(abs(value).bit_count() <= 1 for value in values)


CODES = WeightForm()


@dataclass(frozen=True)
class Engines:
    """``conv``, ``fc``: how the weights of the two engines are stored. ``sweeps``: for each convolution, for each group
    of its output channels, the input channels that are swept, ascending; empty for all that it reads, and as a whole
    where that is so in each convolution. ``words``: for each fully-connected layer the words of each group of outputs
    in the bank-balanced engine; empty for the dense one. ``kept``: for each layer but the last the outputs that are
    computed, in their order (`unused`); empty for all. Sweeps and words are those of the layers that are left."""

    conv: WeightForm = CODES
    fc: WeightForm = CODES
    sweeps: tuple[tuple[tuple[int, ...], ...], ...] = ()
    words: tuple[tuple[int, ...], ...] = ()
    kept: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        for name in ("conv", "fc"):
            if isinstance(form := getattr(self, name), Mapping):  # as JSON has it
                object.__setattr__(self, name, WeightForm(**form))
        object.__setattr__(self, "words", numbers("words", self.words))
        object.__setattr__(self, "kept", numbers("kept", self.kept))
        if any(len(set(one)) < len(one) for one in self.kept):
            raise ValueError("kept must have no output twice")
        object.__setattr__(self, "sweeps", tuple(numbers("sweeps", layer) for layer in self.sweeps))
        if any(list(one) != sorted(set(one)) for layer in self.sweeps for one in layer):
            raise ValueError("the channels of a sweep must ascend")
        if self.sweeps and not any(self.sweeps):
            raise ValueError("some convolution must leave out a sweep")
        if self.words and not all(n for one in self.words for n in one):
            raise ValueError("every output has at least one word")
        if self.words and self.fc != CODES:
            raise ValueError("the bank-balanced engine stores codes")

    @property
    def names(self) -> tuple[str, ...]:
        """What they are called in manifests and reports; empty for the dense engines."""
        found = [f"conv {self.conv.kind}, {self.conv.bits} bits"] if self.conv != CODES else []
        found += [f"fc {self.fc.kind}, {self.fc.bits} bits"] if self.fc != CODES else []
        found += [
            f"zero-skipping conv{n}, {sum(map(len, layer)):,} sweeps" for n, layer in enumerate(self.sweeps, 1) if layer
        ]
        found += [f"bank-balanced fc, {sum(map(sum, self.words)):,} words"] if self.words else []
        found += [f"outputs computed: {', '.join(str(len(one)) for one in self.kept)}"] if self.kept else []
        return tuple(found)

    @property
    def skip(self) -> bool:
        """Whether products of zeros are left out."""
        return bool(self.sweeps or self.words)

    @property
    def mark(self) -> int:
        """32 bits that tell these engines from others; 0 for the dense ones."""
        told = {name: value for name, value in asdict(self).items() if name != "kept" or value}
        return zlib.crc32(json.dumps(told, sort_keys=True).encode()) if self != DENSE else 0


def numbers(name: str, lists: Iterable[Iterable[int]]) -> tuple[tuple[int, ...], ...]:
    """``lists`` as tuples. Raises ValueError unless each is of some numbers that are not negative."""
    if not isinstance(lists, Iterable) or not all(isinstance(one, Iterable) for one in lists):
        raise ValueError(f"{name} must be lists of numbers")
    found = tuple(tuple(one) for one in lists)
    if not all(one and all(type(n) is int and n >= 0 for n in one) for one in found):
        raise ValueError(f"{name} must be lists of numbers that are not negative")
    return found


DENSE = Engines()
