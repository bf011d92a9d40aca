"""Finds how a state_dict is meant: every candidate is tried on labelled images, and the best one must stand out."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np

from fivebyfive.model.data.datasets import Dataset, check_channels
from fivebyfive.model.network import dims
from fivebyfive.model.readers.float_errors import Scaling
from fivebyfive.model.readers.float_network import FloatNetwork
from fivebyfive.model.readers.folding import fold
from fivebyfive.model.readers.steps import Activation, Affine, Convolution, Dense, Pooling, Sides, Steps, Unsupported
from fivebyfive.support.errors import UserError, shown
from fivebyfive.support.inputs import as_path
from fivebyfive.support.optional import require_torch
from fivebyfive.support.progress import Progress, silent

from .candidates import NO_FUNCTION, RECTIFIERS, Candidate, Functions, Readings
from .described import described_steps
from .geometry import Geometry, geometries
from .options import ReadingOptions
from .preparation import Preparation, preparations
from .scoring import Scorer, cross_entropies, differ, further, losses
from .weights import Weights, read_weights

__all__ = ["Ambiguous", "Reading", "find_reading"]

FEW = 48  # images that say which sizes are worth a try
PART = 12  # of them, behind which hopeless sizes are left out
FIRST, SECOND, THIRD, LAST = 64, 300, 1000, 5000  # images that fewer and fewer candidates are tried on
ROUNDS = (SECOND, 4), (THIRD, 2), (LAST, 1)  # images, and ways to prepare them that a reading keeps
TRAINED = 30_000  # images at the end of the set, behind the first LAST, which training may have had
MOST = 40  # readings that are tried on more than FIRST images
MOST_SIZES = 400  # that are tried at all
MANY = 3  # sizes that are tried with all functions
TIES = 2  # of the few images: sizes with so many errors more than the last of those are tried too
MARGIN = 0.2  # of the first images: so much worse than the best is hopeless
HOPELESS = 1e-7  # McNemar's p below which a candidate is not tried on more images
CLEARLY = 1e-4  # p below which the best reading stands out
MORE = 1.1  # times the errors or cross-entropy of the best reading: less decides nothing, whatever the number of images
FAR = 1.25  # the same, where more images follow, and of a reading that has a function more behind the last convolution
LESS = 1.03  # the same, on images that training may have had, of readings that differ in functions alone
GOOD = 0.2  # of the errors by chance: a reading with more is none
SAME = 1e-4  # of the largest score: readings that differ by less are the same function
Chosen = dict[Candidate, np.ndarray]  # which images each gets wrong


class Ambiguous(UserError):  # noqa: N818 (what the file leaves open, no fault of it)
    """No reading stands out. ``reading``: the one with the fewest errors, None where nothing could be tried."""

    def __init__(self, message: str, reading: "Reading | None" = None) -> None:
        super().__init__(message)
        self.reading = reading


@dataclass(frozen=True)
class Reading:
    """``network``: what the layers compute of (pixel / 255 - mean) / std, with ``scaling``, of images that
    ``preparation`` gives. ``errors`` of the first ``images`` of a data set called ``data``, None where none was
    needed. ``next_best``: what is unlike in the next best reading, and its errors. ``rectifiers``: functions that
    images do not tell from the ReLU of this reading, and their errors. ``text``: the reading, in words."""

    network: FloatNetwork
    scaling: Scaling | None
    preparation: Preparation
    text: str
    errors: int | None = None
    images: int = 0
    data: str | None = None
    next_best: tuple[str, int] | None = None
    rectifiers: tuple[tuple[str, int], ...] = ()

    def __str__(self) -> str:
        if self.errors is None:
            return f"read as: {self.text}"
        behind = f"; next best reading ({self.next_best[0]}): {self.next_best[1]:,}" if self.next_best else ""
        if self.rectifiers:
            listed = " and ".join(f"{name} ({errors:,})" for name, errors in self.rectifiers)
            behind += f"; images do not tell relu from {listed}: if it was one of them, say so with --activation"
        return f"read as: {self.text}: {self.errors:,} errors of {self.images:,} in floats on {self.data}{behind}"


def find_reading(
    path: Path | str,
    dataset: Dataset | None,
    options: ReadingOptions = ReadingOptions(),  # noqa: B008 (frozen)
    progress: Progress = silent,
) -> Reading:
    """How the state_dict in a file is meant.

    Sizes, pools, functions and the place of BatchNorm that fit its tensors are tried, in float32, on the first 5,000
    images of ``dataset``; pixels are scaled, padded, resized, inverted and transposed in the way that suits each. The
    reading with the least cross-entropy is taken where it has at most a fifth of the errors by chance and each other
    one is clearly worse; where one is not, the last 30,000 images, which training may have had, are asked. A single
    candidate that ``options`` leave is taken without images. Raises `Ambiguous`, with the options that decide, and
    UserError for a file that cannot be read; both are one line.
    """
    path = as_path(path, "model")
    torch = require_torch()
    layers = read_weights(path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # layers are so small that two threads wait for each other
    try:
        return Finder(path, layers, dataset, options, progress).find()
    except Unsupported as error:
        raise UserError(f"{path}: {shown(error)}") from error
    finally:
        torch.set_num_threads(threads)


class Finder:
    """The candidates of a file, and what is known of them."""

    def __init__(
        self, path: Path, layers: Sequence[Weights], dataset: Dataset | None, options: ReadingOptions,
        progress: Progress,
    ) -> None:  # fmt: skip
        self.path, self.layers, self.dataset, self.options, self.progress = path, layers, dataset, options, progress
        self.readings = Readings(layers)
        self.found: tuple[Geometry, ...] = ()
        self.crowded = False
        self.labels: tuple[str, ...] = ()
        self.dense_hidden = sum(one.kind == "fc" for one in layers) > 1
        self.image = (28, 28) if dataset is None else dataset.size[1:]
        self.turns = (False, True) if self.image[0] == self.image[1] else (False,)  # transposed: square ones alone

    def find(self) -> Reading:
        if self.options.description is not None:
            return self.described(self.options.description)
        geometries = self.found = self.geometries()
        functions = {one: self.functions(one) for one in geometries}
        readings = {(geometry.inner, one) for geometry, found in functions.items() for one in found}
        if len(readings) == 1:
            return self.only(geometries, *functions[geometries[0]])
        if self.dataset is None or len(geometries) > MOST_SIZES:
            raise Ambiguous(f"{self.path} {self.ways(len(readings))}; {self.hint()}")
        classes = self.layers[-1].outputs
        if self.dataset.classes > classes:
            raise Ambiguous(
                f"{self.path} {self.ways(len(readings))}; {self.dataset.name} has {self.dataset.classes} classes and "
                f"the network {classes}, so it tells nothing: give a set that fits with --data, or {self.hint()}"
            )
        return self.decide(functions)

    @property
    def chance(self) -> float:
        """The part of images that the most frequent class gets wrong."""
        assert self.dataset is not None
        labels = self.dataset.labels[:LAST]
        return float(1 - np.bincount(labels).max() / len(labels))

    def ways(self, count: int) -> str:
        return f"has tensors and no graph: its layers can be read in {count:,} ways"

    def hint(self) -> str:
        return "say more with --pool, --activation, --padding and --input, or all of it with --network FILE.json"

    def geometries(self, padded_pools: bool = False) -> tuple[Geometry, ...]:
        first = self.layers[0]
        channels = first.weight.shape[1] if first.kind == "conv" else 1
        sizes = list(dict.fromkeys([self.image, (32, 32)]))
        if self.options.size:
            channels, *size = self.options.size
            sizes = [(size[0], size[1])]
            if first.kind == "conv" and channels % first.weight.shape[1]:
                raise UserError(f"{self.path}: {first.name} takes {first.weight.shape[1]} channels, not {channels}")
        elif first.kind == "fc":
            channels = 3 if any(3 * rows * columns == first.weight.shape[1] for rows, columns in sizes) else 1
        if self.dataset is not None:
            check_channels(self.dataset.size[0], channels)
        paddings, convs = self.options.paddings, [one for one in self.layers if one.kind == "conv"]
        if paddings and len(paddings) not in (1, len(convs)):
            raise UserError(f"{self.path} has {len(convs)} convolutions; --padding gives {len(paddings)}")
        found = geometries(self.layers, sizes, channels, paddings, padded_pools)
        if found and not (found := tuple(filter(self.options.fits, found))):
            raise UserError(
                f"{self.path}: no usual sizes that fit its weights have pools of --pool {self.options.pool}"
            )
        if not found:
            dense = [one for one in self.layers if one.kind == "fc"]
            needs = f"{dense[0].name} its {dense[0].weight.shape[1]} inputs" if dense else "maps of 1x1 at the end"
            raise Ambiguous(
                f"{self.path}: no usual padding, stride and pool of images of {' or '.join(map(dims, sizes))} give "
                f"{needs}; say the input and padding with --input and --padding, or all of it with --network FILE.json"
            )
        return found

    def functions(self, geometry: Geometry) -> tuple[Functions, ...]:
        return self.readings.functions(geometry, self.options.pools, *self.options.activations)

    def only(self, geometries: Sequence[Geometry], functions: Functions) -> Reading:
        """The one reading there is; images choose how they are prepared, if there are any that fit and that it reads
        well."""
        scalings = self.options.scalings
        if self.dataset is None or self.dataset.classes > self.layers[-1].outputs:
            way = Candidate(geometries[0], functions, Preparation(geometries[0].input), scalings[0])
            return self.made(way, scalings[0] if len(scalings) == 1 else None)
        scorer = Scorer(self.readings, self.dataset)
        ways = [
            Candidate(one, functions, Preparation(one.input, inverted=inverted, transposed=turned), scalings[0])
            for one, turned, inverted in product(geometries, self.turns, (False, True))
        ]
        ((best, wrong),) = self.settled(scorer, ways).items()
        if wrong.mean() > GOOD * self.chance:
            plain = [replace(ways[0], scaling=scaling) for scaling in scalings]
            found = self.run(scorer, plain, SECOND)
            ((best, wrong),) = self.run(scorer, [min(found, key=lambda one: found[one].sum())], LAST).items()
        if not self.readings.given and self.padded_pools_do_well(scorer, best):
            return self.decide(self.with_padded_pools())
        return self.made(best, best.scaling, wrong)

    def described(self, text: str) -> Reading:
        """The reading of a description."""
        try:
            steps = described_steps(text, self.layers)
        except ValueError as error:
            raise UserError(f"{self.path}: {error}") from error
        assert steps.input
        self.found = (Geometry(steps.input, ()),)
        self.readings.given, self.labels = steps.steps, steps.labels
        return self.only(self.found, Functions())

    def decide(self, functions: dict[Geometry, tuple[Functions, ...]]) -> Reading:
        """The reading that stands out."""
        assert self.dataset is not None
        scorer, chance = Scorer(self.readings, self.dataset), self.chance
        found: Chosen = {}
        for turned, inverted in product(self.turns, (False, True)):
            found |= self.tried(scorer, functions, turned, inverted)
            if min(map(np.mean, found.values())) <= GOOD * chance:
                break
        # With another scaling than its own a right reading may do worse than a wrong one: all are tried first.
        found = self.settled(scorer, self.leading(found))
        best = self.least_loss(scorer, found)
        if self.readings.last_is_open(best.geometry) and best.functions.last != best.functions.conv:
            alike = replace(best, functions=replace(best.functions, last=best.functions.conv))
            found |= self.run(scorer, [alike], LAST)
        if self.padded_pools_do_well(scorer, best):
            return self.decide(self.with_padded_pools())
        more = len(self.dataset) > LAST
        doubts = self.doubts(
            best, self.scores(scorer, [*found], LAST), self.dataset.labels[:LAST], FAR if more else MORE
        )
        if doubts and more:
            best, doubts = self.by_training(scorer, [best, *doubts])
        others = sorted((one for one in found if one is not best), key=lambda one: found[one].sum())
        next_best = (self.unlike(best, others[0]), int(found[others[0]].sum())) if others else None
        rectifiers = self.rectifiers(scorer, best)
        doubts += [
            one for one, its in rectifiers.items()
            if its.sum() < found[best].sum() and differ(found[best], its) < CLEARLY
        ]  # fmt: skip
        rectifiers = {
            one: its for one, its in rectifiers.items() if differ(found[best], its) >= CLEARLY or one in doubts
        }
        if why := self.why_open(best, doubts, found | rectifiers):
            try:
                reading = self.made(best, best.scaling, found[best], next_best, rectifiers)
            except Unsupported:  # another one may be meant
                reading = None
            raise Ambiguous(why, reading)
        return self.made(best, best.scaling, found[best], next_best, rectifiers)

    def why_open(self, best: Candidate, doubts: Sequence[Candidate], found: Chosen) -> str:
        """Why the best reading is not taken, "" where it is."""
        assert self.dataset is not None
        text, errors, images = self.words(best, best.scaling), int(found[best].sum()), len(found[best])
        if errors > GOOD * self.chance * images:
            return (
                f"{self.path}: no reading is good on {self.dataset.name}: the best ({text}) has {errors:,} errors of "
                f"{images:,}, where {GOOD:.0%} of those by chance are the limit; were the weights trained, and on such "
                f"images? Give others with --data, or {self.hint()}"
            )
        if doubts:
            listed = [f"{self.unlike(best, one)}: {found[one].sum():,}" for one in doubts[:4]]
            rest = f", and {len(doubts) - 4} more" if len(doubts) > 4 else ""
            deciding = dict.fromkeys(option for one in doubts for option in self.deciding(best, one))
            return (
                f"{self.path} can be read in several ways that {images:,} images of {self.dataset.name} do not tell "
                f"apart: as {text}, {errors:,} errors; or with {'; '.join(listed)}{rest}; say which with "
                f"{', '.join(deciding)}"
            )
        if self.crowded:
            return (
                f"{self.path} can be read in many ways that are nearly as good as {text} ({errors:,} errors of "
                f"{images:,} on {self.dataset.name}); {self.hint()}"
            )
        return ""

    def with_padded_pools(self) -> dict[Geometry, tuple[Functions, ...]]:
        """All sizes, those with padded pools too, and their functions."""
        self.found = self.geometries(padded_pools=True)
        return {one: self.functions(one) for one in self.found}

    def padded_pools_do_well(self, scorer: Scorer, best: Candidate) -> bool:
        """Whether a size with padded pools, which have not been tried yet, does better than the best reading, with its
        functions. Few networks have such pools: one that does as well is none."""
        ways = {
            one: [replace(best.functions, pool=pool) for pool in self.options.pools]
            for one in self.geometries(padded_pools=True)
            if one not in self.found and one.pools
        }
        way, crowded = best.preparation, self.crowded
        found = fewest(self.first(scorer, ways, FIRST, [best.scaling], way.transposed, way.inverted))
        if not found:
            return False
        found |= self.run(scorer, [best], FIRST)
        for count in (SECOND, THIRD, LAST):
            found = self.run(scorer, self.leading(found), count)
        self.crowded = crowded
        return self.least_loss(scorer, self.run(scorer, [best], LAST) | found) is not best

    # rounds: fewer candidates, more images

    def tried(
        self, scorer: Scorer, functions: dict[Geometry, tuple[Functions, ...]], turned: bool, inverted: bool
    ) -> Chosen:
        """The best way of each reading on few images: with one function throughout, sizes and scalings first."""
        quick = {one: [each for each in every if self.simple(each)] or every for one, every in functions.items()}
        best: dict[tuple, float] = {}
        for one, count in self.few_errors(
            scorer, self.candidates(quick, self.options.scalings, turned, inverted)
        ).items():
            for key in (one.geometry.inner, (one.geometry, one.scaling)):
                best[key] = min(best.get(key, 1.0), count / self.few(scorer))
        inners = {one.inner: best[one.inner] for one in functions if one.inner in best}
        near = sorted(inners.items(), key=lambda item: item[1])
        worst = min(near[:MANY][-1][1] + TIES / self.few(scorer), near[0][1] + MARGIN)
        kept = [inner for inner, wrongs in near if wrongs <= worst]
        found: Chosen = {}
        for geometry, every in functions.items():
            if geometry.inner in kept:
                errors = {key[1]: value for key, value in best.items() if key[0] == geometry}
                scalings = sorted(errors, key=lambda one: errors[one])[:2]
                found |= self.first(scorer, {geometry: every}, FIRST, scalings, turned, inverted)
        return fewest(found)

    def simple(self, one: Functions) -> bool:
        """Whether one function is everywhere, or ReLU behind fully-connected layers, where any of them has one."""
        hidden = not self.dense_hidden or one.fc in (one.conv, "relu")
        alike = not self.readings.dense or (one.last == one.conv and hidden)
        return alike and not one.norm and not one.pool_first

    def first(
        self, scorer: Scorer, functions: Mapping[Geometry, Sequence[Functions]], count: int,
        scalings: Sequence[Scaling], turned: bool, inverted: bool,
    ) -> Chosen:  # fmt: skip
        """Which images each gets wrong with ``scalings``."""
        return self.run(scorer, self.candidates(functions, scalings, turned, inverted), count)

    def candidates(
        self, functions: Mapping[Geometry, Sequence[Functions]], scalings: Sequence[Scaling], turned: bool,
        inverted: bool,
    ) -> list[Candidate]:  # fmt: skip
        return [
            Candidate(geometry, one, way, scaling)
            for geometry, found in functions.items()
            for way in [
                replace(one, inverted=inverted, transposed=turned) for one in preparations(geometry.input, self.image)
            ]
            for one, scaling in product(found, scalings)
        ]

    @staticmethod
    def few(scorer: Scorer) -> int:
        """Images that say which sizes are worth a try."""
        return min(FEW, len(scorer.dataset))

    def few_errors(self, scorer: Scorer, candidates: Sequence[Candidate]) -> dict[Candidate, int]:
        """Errors of the first few images, of all candidates of the sizes that may be kept.

        Errors only grow: sizes whose best candidate already has more than they are kept with are left out. The sizes
        that are kept are those that would be if all candidates had seen all of these images."""
        by_inner: dict[tuple, list[Candidate]] = {}
        for one in candidates:
            by_inner.setdefault(one.geometry.inner, []).append(one)
        total = self.few(scorer)
        errors, seen = dict.fromkeys(candidates, 0), dict.fromkeys(by_inner, 0)
        tick = self.ticking(len(candidates) * total)

        def see(inners: Iterable[tuple], stop: int) -> None:
            rest = [inner for inner in inners if seen[inner] < stop]
            for start in {seen[inner] for inner in rest}:
                labels = scorer.dataset.labels[start:stop]
                ones = [one for inner in rest if seen[inner] == start for one in by_inner[inner]]
                for one, scores in scorer.part(ones, start, stop, tick).items():
                    errors[one] += int((scores.argmax(1) != labels).sum())
            seen.update(dict.fromkeys(rest, stop))

        def least(inner: tuple) -> int:
            return min(errors[one] for one in by_inner[inner])

        see(by_inner, min(PART, total))
        see(leading := sorted(by_inner, key=least)[:MANY], total)
        known = sorted(least(inner) / total for inner in leading)
        limit = min([known[0] + MARGIN, *(one + TIES / total for one in known[MANY - 1 :])])
        alive = [*by_inner]
        for stop in range(2 * PART, total + PART, PART):
            alive = [inner for inner in alive if least(inner) / total <= limit]
            see(alive, min(stop, total))
        return {one: errors[one] for inner in alive for one in by_inner[inner]}

    def settled(self, scorer: Scorer, candidates: Iterable[Candidate]) -> Chosen:
        """The leading readings of candidates on more and more images, each with the scaling and preparation by which
        its cross-entropy is least."""
        assert self.dataset is not None
        ways: dict[tuple, list[Candidate]] = {}
        for one in candidates:
            ways.setdefault(one.reading, []).extend(self.ways_of(one))
        found: Chosen = {}
        for count, kept in ROUNDS:
            scores = self.scores(scorer, [way for its in ways.values() for way in its], count)
            loss = {way: losses(its, self.dataset.labels[:count]).mean() for way, its in scores.items()}
            for reading, its in ways.items():
                ways[reading] = sorted(its, key=lambda way: loss[way])[:kept]
            found = self.run(scorer, [its[0] for its in ways.values()], count)
            if count == SECOND:
                found = self.distinct(scorer, found)
            if kept > 1:
                ways = {one.reading: ways[one.reading] for one in self.leading(found)}
        return found

    def ways_of(self, one: Candidate) -> Iterator[Candidate]:
        """All scalings and preparations of a candidate's reading, images inverted and transposed as there."""
        for geometry, scaling in product(self.alike(one.geometry), self.options.scalings):
            border = round(min(max(255 * scaling.mean, 0), 255))  # behind normalization: 0
            for way in preparations(geometry.input, self.image, border):
                way = replace(way, inverted=one.preparation.inverted, transposed=one.preparation.transposed)
                yield Candidate(geometry, one.functions, way, scaling)

    def alike(self, geometry: Geometry) -> list[Geometry]:
        """Geometries that differ in the input alone: its border is part of the image, or padding."""
        return [one for one in self.found if one.inner == geometry.inner]

    def distinct(self, scorer: Scorer, found: Chosen) -> Chosen:
        """Without readings whose scores are those of another one, so far as float32 tells."""
        scores = scorer.scores(found, SECOND)
        kept: list[Candidate] = []
        for one in found:
            near = SAME * np.abs(scores[one]).max()
            if all(np.abs(scores[one] - scores[other]).max() > near for other in kept):
                kept.append(one)
        return {one: found[one] for one in kept}

    def leading(self, found: Chosen) -> list[Candidate]:
        """The candidates that may be the best one, two at least and `MOST` at most; ``crowded`` where there are more
        that many images do not tell apart."""
        best, *others = sorted(found, key=lambda one: found[one].sum())
        few = len(found[best]) <= FIRST
        near = [
            one for number, one in enumerate(others)
            if number == 0 or (
                found[one].mean() <= found[best].mean() + MARGIN if few
                else differ(found[best], found[one]) >= HOPELESS
            )
        ]  # fmt: skip
        self.crowded |= not few and len(near) >= MOST
        return [best, *near][:MOST]

    def least_loss(self, scorer: Scorer, found: Chosen) -> Candidate:
        """The reading that training may have had: it makes cross-entropy small, and errors with it."""
        assert self.dataset is not None
        count = len(next(iter(found.values())))
        scores, labels = self.scores(scorer, [*found], count), self.dataset.labels[:count]
        return min(found, key=lambda one: losses(scores[one], labels).mean())

    def by_training(self, scorer: Scorer, candidates: Sequence[Candidate]) -> tuple[Candidate, list[Candidate]]:
        """The best of some readings, and those that are not clearly worse, by the last images of the set. A network may
        have been trained on them: then it is its own reading whose cross-entropy training has made small."""
        assert self.dataset is not None
        start = max(LAST, len(self.dataset) - TRAINED)
        labels = self.dataset.labels[start:]
        scores = scorer.part(candidates, start, len(self.dataset), self.ticking(len(candidates) * len(labels)))
        best = min(scores, key=lambda one: losses(scores[one], labels).mean())
        return best, self.doubts(best, scores, labels, MORE, trained=True)

    def doubts(
        self, best: Candidate, scores: Mapping[Candidate, np.ndarray], labels: np.ndarray, more: float,
        trained: bool = False,
    ) -> list[Candidate]:  # fmt: skip
        """The others that are not clearly worse: by a factor of ``more`` in errors or, where these do not say the
        contrary, in cross-entropy. That is what training makes small, on images that it may have had (``trained``),
        where readings that differ in functions alone need a factor of `LESS`; on others, the geometric mean of it and
        of what it is with the factor of scores that suits it best."""
        judge = (lambda its: (losses(its, labels),)) if trained else (lambda its: cross_entropies(its, labels))
        mine, wrong = judge(scores[best]), scores[best].argmax(1) != labels

        def worse(one: Candidate) -> bool:
            factor = LESS if trained and one.geometry.inner == best.geometry.inner else more
            if lacks_last(best, one):
                factor = FAR
            its = scores[one].argmax(1) != labels
            fewer, many = its.sum() < wrong.sum(), its.sum() >= factor * wrong.sum()
            if (fewer or many) and differ(wrong, its) < CLEARLY:
                return bool(many)
            return further(mine, judge(scores[one]), factor)

        return [one for one in scores if one is not best and not worse(one)]

    def rectifiers(self, scorer: Scorer, best: Candidate) -> Chosen:
        """The same with leaky ReLU or GELU in place of ReLU, where nobody said which; on as many images."""
        mine = best.functions
        if self.options.activation or "relu" not in (mine.conv, mine.last, mine.fc):
            return {}
        others = []
        for name in RECTIFIERS[1:]:
            conv, last, fc = (name if one == "relu" else one for one in (mine.conv, mine.last, mine.fc))
            others.append(replace(best, functions=replace(mine, conv=conv, last=last, fc=fc)))
        return self.run(scorer, others, LAST)

    def scores(self, scorer: Scorer, candidates: Sequence[Candidate], count: int) -> dict[Candidate, np.ndarray]:
        return scorer.scores(candidates, count, self.ticking(len(candidates) * min(count, len(scorer.dataset))))

    def ticking(self, total: int) -> Callable[[int], None]:
        """Reports progress of trying ``total`` images, each by each candidate."""
        done = 0

        def tick(more: int) -> None:
            nonlocal done
            done += more
            self.progress(done, total, "trying readings")

        return tick

    def run(self, scorer: Scorer, candidates: Sequence[Candidate], count: int) -> Chosen:
        labels = scorer.dataset.labels[:count]
        return {one: its.argmax(1) != labels for one, its in self.scores(scorer, candidates, count).items()}

    # in words

    def made(
        self, one: Candidate, scaling: Scaling | None, wrong: np.ndarray | None = None,
        next_best: tuple[str, int] | None = None, rectifiers: Chosen | None = None,
    ) -> Reading:  # fmt: skip
        steps = self.readings.steps(one.geometry, one.functions)
        network = fold(Steps(one.geometry.input, steps, labels=self.labels))
        found = Reading(network, scaling, one.preparation, self.words(one, scaling), next_best=next_best)
        if wrong is None or self.dataset is None:
            return found
        alike = tuple((self.unlike(one, way), int(its.sum())) for way, its in (rectifiers or {}).items())
        return replace(found, errors=int(wrong.sum()), images=len(wrong), data=self.dataset.name, rectifiers=alike)

    def words(self, one: Candidate, scaling: Scaling | None) -> str:
        """A reading, layer by layer."""
        how = one.preparation.text(self.image) if self.dataset else ""
        parts = [dims(one.geometry.input if one.geometry.input[0] > 1 else one.geometry.input[1:])]
        parts[0] += f" ({how})" if how else ""
        for step in self.readings.steps(one.geometry, one.functions):
            match step:
                case Convolution():
                    outputs, _, *kernel = step.weight.shape
                    parts.append(f"{dims(kernel)} {outputs}")
                    parts[-1] += padding_words(step.padding)
                    parts[-1] += f" stride {step.stride[0]}" if step.stride[0] > 1 else ""
                case Dense():
                    parts.append(f"fc {len(step.weight)}")
                case Activation():
                    parts.append("relu6" if step.name == "clip" else step.name)
                case Pooling():
                    by = f" by {step.stride[0]}" if step.size and step.stride != step.size else ""
                    size = step.size[0] if step.size else "of all"
                    parts.append(f"{step.kind} {size}{by}{padding_words(step.padding)}")
                case Affine():
                    parts.append("BatchNorm")
        if scaling:
            parts.append(f"pixels (p / 255 - {scaling.mean:g}) / {scaling.std:g}")
        return ", ".join(parts)

    def unlike(self, best: Candidate, other: Candidate) -> str:
        """What is different in another reading."""
        mine, its = best.functions, other.functions
        parts = []
        if best.geometry.inner != other.geometry.inner:
            parts.append(self.words(other, None).partition(", fc")[0])
        if best.geometry.pools and mine.pool != its.pool:
            parts.append(its.pool)
        if best.geometry.ends_whole and mine.whole != its.whole:
            parts.append(f"{its.whole} of all")
        if (mine.conv, mine.fc) != (its.conv, its.fc):
            if not self.dense_hidden or its.conv == its.fc or mine.fc == its.fc == "none":
                parts.append(its.conv)
            else:
                parts.append(f"{its.conv},{its.fc}")
        if mine.last != its.last and (its.last != its.conv or mine.conv == its.conv):
            parts.append(f"{its.last} behind the last convolution")
        if mine.pool_first != its.pool_first:
            parts.append("pools first" if its.pool_first else "functions first")
        if mine.norm != its.norm:
            parts.append(("BatchNorm first", "BatchNorm behind functions", "BatchNorm behind pools")[its.norm])
        return ", ".join(parts) or "the same with other words"

    def deciding(self, best: Candidate, other: Candidate) -> Iterator[str]:
        """Options that tell two readings apart."""
        mine, its = best.functions, other.functions
        if (best.geometry.pools and mine.pool != its.pool) or (best.geometry.ends_whole and mine.whole != its.whole):
            yield "--pool KIND"
        if (mine.conv, mine.last, mine.fc) != (its.conv, its.last, its.fc):
            yield "--activation CONV,FC"
        if best.geometry.inner != other.geometry.inner:
            yield "--input CxHxW and --padding"
        yield "--network FILE.json"


def padding_words(sides: Sides) -> str:
    """Padding on each side, or of (top, left, bottom, right)."""
    if not any(sides):
        return ""
    return f" padding {sides[0]}" if len({*sides}) == 1 else f" padding {'/'.join(map(str, sides))}"


def lacks_last(best: Candidate, other: Candidate) -> bool:
    """Whether a reading lacks a function behind the last convolution, and another one has it and is the same else."""
    lacking = best.functions.last == NO_FUNCTION != other.functions.last
    return lacking and best == replace(other, functions=replace(other.functions, last=NO_FUNCTION))


def fewest(found: Chosen) -> Chosen:
    """Of each reading the candidate with the fewest errors, the first where several have as few."""
    best: dict[tuple, Candidate] = {}
    for one, wrong in found.items():
        if one.reading not in best or wrong.sum() < found[best[one.reading]].sum():
            best[one.reading] = one
    return {one: found[one] for one in best.values()}
