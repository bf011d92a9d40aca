"""A job: something that takes long, does not depend on any other, and whose result is kept (`cache`).

A job is a frozen record. Its result depends on its fields and on its ``identity``: the digest of the sources behind it
(`sources`) and the versions of the tools that it uses. Results are kept under both, so that none is taken for that of
other sources or tools; and a process that does a job for another, in a process here or on a machine elsewhere, has the
same identity or refuses. What a result must look like is checked once, where it comes in: from the cache, from the work
itself, from a cluster.

In a process of its own: ``python -P -m fivebyfive.sim.jobs.job JOB.json``; exit code 3 and a message on standard
output where a tool fails or the job is refused, 4 where the RTL differs.
"""

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import GenericAlias, UnionType
from typing import Any, ClassVar, get_args, get_origin

from filelock import FileLock

from fivebyfive.sim.simulator.cache import cache_folder, content_key, keep, known, plain
from fivebyfive.support.errors import DIFFERS, Failure, UserError
from fivebyfive.support.log import log_to_file

from . import sources

__all__ = [
    "DIFFERENT",
    "FAILED",
    "KIND",
    "SOURCES",
    "Job",
    "Refused",
    "from_json",
    "installed",
    "keep_job",
    "known_job",
    "run_job",
    "to_json",
]  # fmt: skip

KIND = "measurements"  # folder of the cache
# Exit codes of a job's process, where doing it again would not help: its tool failed; the RTL is not right.
FAILED, DIFFERENT = 3, 4
SOURCES = "the sources of fivebyfive"  # in an identity, beside the names of tools
MISSING = "not installed"
OTHER = "this process runs another version of fivebyfive than the one that asks: install the same on all machines"
CHANGED = "the sources of fivebyfive have changed since this process began; start it again"


class Refused(UserError):  # noqa: N818 (what happened)
    """A job that was asked for by somebody with other sources or tools. ``differing``: by name, what is here and what
    is there, where it was asked for."""

    def __init__(self, differing: Mapping[str, tuple[str, str]]):
        self.differing = dict(differing)
        what = "; ".join(f"{name}: {here} here, {there} where it is asked for" for name, (here, there) in
                         self.differing.items())  # fmt: skip
        super().__init__(f"{OTHER}; {what}")


@dataclass(frozen=True)
class Job:
    """What its result depends on: the fields, which are plain values or a dataclass, and the ``identity``.

    ``RESULT``: names and types of a result's values (`fits`).
    """

    RESULT: ClassVar[Mapping[str, object]] = {}

    @property
    def tools(self) -> dict[str, str]:
        """Names and versions of all beside the sources that can change the result."""
        return {}

    @classmethod
    def sources(cls) -> str:
        """Digest of the module and of all that it imports."""
        return sources.digest(cls.__module__)

    @property
    def identity(self) -> dict[str, str]:
        """Of this process: what makes a result its own. Raises UserError where a tool is missing."""
        return {SOURCES: self.sources()[:16], **self.tools}

    @classmethod
    def check(cls, result: dict) -> None:
        """Raise ValueError where that is no result of such a job."""
        conform(result, cls.RESULT)

    def work(self) -> dict:
        """Do it; the result, which JSON can hold. Raises ToolFailed where a tool fails, UserError where it is missing
        or cannot be used, RtlDiffers."""
        raise NotImplementedError


def conform(result: object, wanted: Mapping[str, object]) -> None:
    """Raise ValueError unless a result has the values that are wanted, all of their types, and no others."""
    if not isinstance(result, dict) or result.keys() != wanted.keys():
        raise ValueError(f"it must have {', '.join(wanted)}")
    for name, kind in wanted.items():
        if not fits(result[name], kind):
            raise ValueError(f"{name} cannot be {result[name]!r:.60}")


def fits(value: object, kind: object) -> bool:
    """Whether a plain value is of a kind: int, not negative; float, finite; str; dict; several, such as ``str | None``;
    or such as ``list[str]``, ``dict[str, float]``."""
    if isinstance(kind, UnionType):
        return any(fits(value, one) for one in get_args(kind))
    if isinstance(kind, GenericAlias):
        of = get_args(kind)[-1]
        return fits(value, get_origin(kind)) and all(fits(one, of) for one in values(value))
    if kind is int:
        return type(value) is int and value >= 0
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return value is None if kind is type(None) else type(value) is kind


def values(value: object) -> list[Any]:
    """What a list or a dict holds."""
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


@cache
def installed(package: str) -> str:
    """The version of a package, or that there is none."""
    try:
        return version(package)
    except PackageNotFoundError:
        return MISSING


def known_job(job: Job) -> dict | None:
    """The result of a job that was done before, with the same sources and tools."""
    return known(result_path(job, job.identity), job.check)


def keep_job(job: Job, result: dict, maker: Mapping[str, str]) -> dict:
    """Keep a result that another machine has found, as that of the identity that it says it has; the result as it is
    kept. Raises ValueError where it is none."""
    result = plain(result)
    job.check(result)
    keep(result_path(job, maker), result)
    return result


def run_job(job: Job) -> dict:
    """Do a job, or find it done; its result as it is kept.

    Two processes never do the same at once. Raises what `Job.work` raises, and UserError where the sources have
    changed since this process began: nobody knows then what made the result.
    """
    identity = job.identity
    unchanged(job)
    path = result_path(job, identity)
    with FileLock(f"{path}.lock"):
        result = known(path, job.check)
        if result is None:
            result = plain(job.work())
            job.check(result)
            unchanged(job)
            keep(path, result)
    return result


def unchanged(job: Job) -> None:
    if sources.changed(type(job).__module__):
        raise UserError(CHANGED)


def result_path(job: Job, maker: Mapping[str, str]) -> Path:
    """Where the result of a job is kept, by all that it depends on."""
    texts = name_of(type(job)), *(json.dumps(one, sort_keys=True) for one in (asdict(job), dict(maker)))
    return cache_folder(KIND) / f"job-{content_key(texts)}.json"


def name_of(kind: type[Job]) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def to_json(job: Job) -> str:
    about = {"kind": name_of(type(job)), "sources": job.sources(), "identity": job.identity, "fields": asdict(job)}
    return json.dumps(about)


def from_json(text: str) -> Job:
    """The job that `to_json` wrote. Raises Refused where that process has another identity than this one, UserError
    where another version of this project wrote it."""
    try:
        about = json.loads(text)
        job, wanted = job_of(about), dict(about["identity"])
    except (LookupError, TypeError, ValueError, AttributeError, ImportError) as error:
        raise UserError(OTHER) from error
    here = job.identity
    names = [name for name in {**wanted, **here} if wanted.get(name) != here.get(name)]
    if names:
        raise Refused({name: (here.get(name, MISSING), wanted.get(name, MISSING)) for name in names})
    return job


def job_of(about: Mapping) -> Job:
    """The job that a JSON object describes."""
    module, _, name = about["kind"].partition(":")
    if not module.startswith(f"{sources.PACKAGE}."):
        raise ValueError(f"{module} is no module of this package")
    kind = getattr(import_module(module), name)
    given = {one.name: about["fields"][one.name] for one in fields(kind)}
    records: dict[str, Any] = {one.name: one.type for one in fields(kind) if is_dataclass(one.type)}
    return kind(**given | {name: record(**given[name]) for name, record in records.items()})


def main() -> int:
    try:
        log_to_file()
        run_job(from_json(Path(sys.argv[1]).read_text()))
    except (Failure, OSError, MemoryError) as error:
        print(str(error) or "the memory ran out")
        return DIFFERENT if getattr(error, "exit_code", None) == DIFFERS else FAILED
    return 0


if __name__ == "__main__":
    from .job import main as imported_main  # jobs are of that module's `Job`, not of this one's

    sys.exit(imported_main())
