"""The command classify: pictures to a board on a serial port, or to a simulated one, and what they are."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fivebyfive.host.board import Board, Classified, Limits, LinkFailed, Port
from fivebyfive.host.serial_port import SerialPort
from fivebyfive.model.checkpoint import Checkpoint, load_checkpoint
from fivebyfive.model.data.images import Images, load_images
from fivebyfive.model.golden import check_images, classify, predict
from fivebyfive.model.protocol.link import DIGEST
from fivebyfive.output.report import class_text, console, table
from fivebyfive.output.terminal import Stage, say
from fivebyfive.support.errors import UserError, shown

__all__ = ["ClassifyRequest", "run_classify"]

SIMULATED = "sim"
SIMULATED_LIMITS = Limits(byte_s=1e-4, answer_s=0.1, silence_s=120, image_s=600)  # however busy this machine is
LEGEND = (
    "cycles: on the board, from the last pixel to the result. ms: on this machine, from the first byte to the answer.",
    "resent: pieces of a picture and questions that were sent again. A question is asked again where an answer takes "
    "longer than those before, as it may on a line without errors, most of all a simulated one; that does no harm.",
)
GIVE_UP = 3  # images in a row without an answer: the rest is not tried


@dataclass(frozen=True)
class ClassifyRequest:
    """``specs``: what `load_images` takes, one after the other. ``port``: a serial port, or "sim". ``checkpoint``: the
    network of the simulated board and of the comparison. ``compare``: with the golden model. ``corrupt``: probability
    that a byte of the simulated line becomes another; ``seed``: of that."""

    specs: tuple[str, ...]
    port: str
    checkpoint: Path
    compare: bool = False
    corrupt: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.corrupt < 1:
            raise UserError(f"--corrupt is a probability from 0 to below 1, not {self.corrupt:g}")
        if self.corrupt and self.port != SIMULATED:
            raise UserError("--corrupt is for the simulated line: --port sim")


@dataclass(frozen=True)
class Outcome:
    """Of one picture: ``answer``, or ``failure``, a line. ``golden``: logits of the golden model, if asked for.
    ``labels``: of the classes, if the board's network is known to have some."""

    name: str
    label: int | None
    answer: Classified | None
    failure: str | None
    golden: np.ndarray | None
    labels: tuple[str, ...] = ()

    @property
    def equal(self) -> bool | None:
        """Whether the board's logits are the golden model's; None where one of them is missing."""
        if self.answer is None or self.golden is None:
            return None
        return bool(np.array_equal(self.answer.logits, self.golden))

    def as_dict(self) -> dict:
        report: dict[str, object] = {"name": self.name, "label": self.label, "failure": self.failure}
        if self.answer:
            report |= {
                "class": self.answer.index, "logits": self.answer.logits.tolist(), "cycles": self.answer.latency,
                "resent": self.answer.resent, "seconds": round(self.answer.seconds, 4),
            }  # fmt: skip
            if self.labels:
                report["class_label"] = self.labels[self.answer.index]
        if self.golden is not None:
            report |= {"golden_class": int(classify(self.golden)), "equal": self.equal}
        return report


def run_classify(request: ClassifyRequest, as_json: bool) -> int:
    """Carry a request out and report on it; 1 where an answer is missing or differs from the golden model's.

    Raises UserError where the port, a picture or the board cannot be used, LinkFailed where no board answers.
    """
    network = load_checkpoint(request.checkpoint)
    images = joined([load_images(spec, network.network.input) for spec in request.specs])
    for remark in dict.fromkeys(images.remarks):
        say(remark)
    with ExitStack() as stack, Stage("opening the port") as stage:
        port, limits = stack.enter_context(open_port(request, network, stage))
        began = time.monotonic()
        board = open_board(port, limits, request.port)
        digest = board.info.digest.hex()
        if request.compare and network.digest[: 2 * DIGEST] != digest:
            raise UserError(
                f"the board holds another network ({digest}...) than {request.checkpoint.name} "
                f"({network.digest[: 2 * DIGEST]}...); name the board's with --checkpoint"
            )
        try:
            check_images(images.pixels, board.info.input)
        except ValueError as error:
            raise UserError(f"the board takes other images: {error}") from error
        golden = predict(network, images.pixels) if request.compare else None
        labels = network.network.labels if network.digest[: 2 * DIGEST] == digest else ()
        outcomes = [replace(one, labels=labels) for one in classify_all(board, images, golden, stage)]
        seconds = time.monotonic() - began
    report = {
        "port": request.port, "network": {"classes": board.info.classes, "input": board.info.input, "sha256": digest},
        "seconds": round(seconds, 2), "corrupt": request.corrupt, "bad_frames": board.decoder.bad,
        "failed": sum(one.answer is None for one in outcomes),
        "different": sum(one.equal is False for one in outcomes),
        "images": [one.as_dict() for one in outcomes],
    }  # fmt: skip
    if as_json:
        print(json.dumps(report))
    else:
        show(report, outcomes)
    return 1 if report["failed"] or report["different"] else 0


def joined(parts: Sequence[Images]) -> Images:
    """Several sets of images as one."""
    names = tuple(name for part in parts for name in part.names)
    known = all(part.labels is not None for part in parts)
    labels = np.concatenate([part.labels for part in parts]) if known else None
    remarks = tuple(remark for part in parts for remark in part.remarks)
    return Images(np.concatenate([part.pixels for part in parts]), names, labels, "pictures", remarks)


@contextmanager
def open_port(request: ClassifyRequest, network: Checkpoint, stage: Stage) -> Iterator[tuple[Port, Limits]]:
    """The serial port, with how long to wait for what is behind it."""
    if request.port != SIMULATED:
        with SerialPort(request.port) as port:
            yield port, Limits()
        return
    from fivebyfive.sim.devices.board import simulated_board

    stage(0, 0, "building the simulated board")
    with (
        simulated_board(network, corrupt=request.corrupt, seed=request.seed, progress=stage) as name,
        SerialPort(name) as port,
    ):
        yield port, SIMULATED_LIMITS


def open_board(port: Port, limits: Limits, name: str) -> Board:
    """The board. Raises LinkFailed where none answers."""
    try:
        return Board(port, limits)
    except LinkFailed as error:
        what = f"no board on port {name}: {error}; is it the right port, and the bitstream loaded?"
        raise type(error)(what) from error
    except OSError as error:
        raise LinkFailed(f"port {name} is gone: {error}") from error


def classify_all(board: Board, images: Images, golden: np.ndarray | None, stage: Stage) -> Iterator[Outcome]:
    """The outcome of each image; one that fails is no reason not to try the next, but several in a row are."""
    in_a_row = 0
    for number, (name, pixels) in enumerate(zip(images.names, images.pixels, strict=True)):
        stage(number, len(images), "classifying")
        answer: Classified | None = None
        failure: str | None = "not tried: the board has gone silent"
        if in_a_row < GIVE_UP:
            try:
                answer, failure = board.classify(pixels), None
            except (LinkFailed, OSError) as error:
                failure = str(error)
        in_a_row = 0 if answer else in_a_row + 1
        label = None if images.labels is None else int(images.labels[number])
        yield Outcome(name, label, answer, failure, None if golden is None else golden[number])


def show(report: dict, outcomes: Sequence[Outcome]) -> None:
    """A table for people."""
    compared = outcomes[0].golden is not None
    columns = ("<picture", "label", "class", "logit", "cycles", "resent", "ms", "<golden model")
    rows = table(*columns[: None if compared else -1])
    for one in outcomes:
        label = "-" if one.label is None else class_text(one.label, one.labels)
        if one.answer is None:
            rows.add_row(shown(one.name), label, *["-"] * (5 + compared))
            continue
        answer = one.answer
        cells = (shown(one.name), label, class_text(answer.index, one.labels), str(int(answer.logits.max())),
                 f"{answer.latency:,}", str(answer.resent), f"{1000 * answer.seconds:.0f}")  # fmt: skip
        rows.add_row(*cells, *((("equal" if one.equal else "DIFFERENT"),) if compared else ()))
    out = console()
    out.print(rows)
    count = len(outcomes)
    out.print(
        f"\n{count - report['failed']} of {count} answered in {report['seconds']:.1f} s, port {shown(report['port'])}"
    )
    for one in outcomes:
        if one.failure:
            out.print(f"{shown(one.name)}: failed, {shown(one.failure)}")
    if compared:
        out.print(f"{report['different']} differ from the golden model")
    if report["failed"] < count:
        out.print("\n".join(LEGEND))
