"""Counts for whoever watches the portal; `GET /metrics` tells them to Prometheus.

They are counted by prometheus-client. Labels are names out of the code, never what somebody sent:
who asks for a million addresses makes no new line. What a noun counts (`note`) counts when its
transaction is kept (portal/database), so what was undone or asked anew is not in it.

Processes of one machine count together in the files of a folder (PORTAL_METRICS_FOLDER), each in
its own, which it holds a lock on while it lives. The counts of those that ended are added up in one
file more, by whoever begins or tells: a count never goes back, and no file stays behind. A file has
its room from the beginning, for on a full disk one that grows kills who writes to it.
"""

import errno
import fcntl
import os
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, values
from prometheus_client import disable_created_metrics as _say_no_beginnings
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.multiprocess import MultiProcessCollector

from portal.config import BadSettingError

Labels = tuple[str, ...]

CHANNELS = ("email", "sms")
KINDS = ("counter", "histogram")
PAST = "past"  # the name of those that ended
ROOM = 1024 * 1024  # bytes of a file; all counts of a process take a third of it
NO_ROOM = {errno.ENOSPC, errno.EDQUOT}

log = structlog.get_logger()

_say_no_beginnings()


class Count:
    """How often something happened. Those values of its labels that are known begin at 0."""

    def __init__(self, name: str, words: str, *labels: str, known: Iterable[str] = ()) -> None:
        self._name, self._words, self._labels = f"portal_{name}", words, labels
        self._known: list[Labels] = [tuple(each.split()) for each in known] if labels else [()]
        self._children: dict[Labels, Any] = {}
        self._metric: Any = None
        self._turn = threading.Lock()
        EVERY.append(self)

    def inc(self, *values: str) -> None:
        """Count it now."""
        self.child(values).inc()

    def note(self, *values: str) -> None:
        """Count it when the running transaction is kept."""
        _noted().append((self.child(values).inc, 1))

    def child(self, values: Labels) -> Any:
        found = self._children.get(values)
        if found is None:
            with self._turn:
                self._metric = self._metric or self._make()
            found = self._metric.labels(*values) if values else self._metric
            self._children[values] = found
        return found

    def begin(self) -> None:
        for each in self._known:
            self.child(each)

    def forget(self) -> None:
        self._children, self._metric = {}, None

    def collect(self) -> Iterable[Metric]:
        return self._metric.collect() if self._metric else ()

    def _make(self) -> Any:
        return Counter(self._name, self._words, self._labels, registry=None)


class Spans(Count):
    """How often something happened, and how many seconds it took."""

    def __init__(self, name: str, words: str, *labels: str, within: tuple[float, ...]) -> None:
        super().__init__(name, words, *labels)
        self._known, self._within = [], within

    def observe(self, seconds: float, *values: str) -> None:
        self.child(values).observe(seconds)

    def note_span(self, seconds: float, *values: str) -> None:
        """Count it when the running transaction is kept."""
        _noted().append((self.child(values).observe, seconds))

    def _make(self) -> Any:
        return Histogram(self._name, self._words, self._labels, buckets=self._within, registry=None)


EVERY: list[Count] = []

requests = Count("requests", "Requests answered.", "endpoint", "method", "status")
request_seconds = Spans(
    "request_seconds",
    "How long requests took.",
    "endpoint",
    within=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15),
)
messages = Count(
    "messages",
    "What came of each try to hand a message over.",
    *("channel", "outcome", "reason"),
    known=[
        *(f"{channel} delivered none" for channel in CHANNELS),
        *(f"{channel} postponed unreachable" for channel in CHANNELS),
        *(f"{channel} failed {why}" for channel in CHANNELS for why in ("expired", "refused")),
    ],
)
delivery_seconds = Spans(
    "delivery_seconds",
    "From the moment a message was due to when its gateway had it.",
    "channel",
    within=(0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 600, 3600, 14400),
)
codes = Count("codes", "Codes by SMS.", "outcome", known=("posted", "accepted", "wrong"))
sign_ins = Count(
    "sign_ins",
    "Passwords and second factors that somebody gave.",
    "outcome",
    known=("password", "wrong_password", "wrong_factor", "paused", "totp", "passkey", "code"),
)
recoveries = Count(
    "recoveries", "Cases of a lost device that began.", "state", known=("opened", "routed")
)
campaign_turns = Count(
    "campaign_turns", "Organisations of lists that had their turn.", "outcome", known=("sent",)
)
database_errors = Count(
    "database_errors",
    "Work that the database did not let be done.",
    "where",
    known=("request", "delivery", "chore"),
)
overtaken = Count("transactions_overtaken", "Transactions that were begun anew.")


# What is counted in a transaction

_here = threading.local()


def _noted() -> list[tuple[Callable[[float], None], float]]:
    noted: list[tuple[Callable[[float], None], float]] | None = getattr(_here, "noted", None)
    if noted is None:
        noted = _here.noted = []
    return noted


def keep() -> None:
    """The transaction of this thread is kept: count what was noted in it."""
    for add, amount in _noted():
        add(amount)
    _noted().clear()


def drop() -> None:
    """It is undone."""
    _noted().clear()


# The processes of one machine


class _Folder:
    """Where the processes of a machine count together."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pid, self._name = 0, ""
        self._alive: IO[str] | None = None

    def name(self) -> str:
        """This process's own name, under a lock that ends with it; asked at each count."""
        if self._pid != os.getpid():  # it is the child of the one that had the name
            self._pid, self._name = os.getpid(), f"{os.getpid()}-{secrets.token_hex(4)}"
            with self.locked():
                self._alive = (self.path / f"{self._name}.alive").open("w")
                fcntl.flock(self._alive, fcntl.LOCK_EX)
                for kind in KINDS:
                    _reserve(self.path / f"{kind}_{self._name}.db")
        return self._name

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else begins, or adds up, meanwhile."""
        with (self.path / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def add_up(self) -> None:
        """Add the counts of those that ended to the past; the folder is locked."""
        ended = [each for each in self.path.glob("*.alive") if _is_free(each)]
        for kind in KINDS:
            own = [self.path / f"{kind}_{each.stem}.db" for each in ended]
            self._add(self.path / f"{kind}_{PAST}.db", [file for file in own if file.exists()])
        for each in ended:
            each.unlink()

    def _add(self, past: Path, files: list[Path]) -> None:
        if not files:
            return
        summed = MultiProcessCollector.merge(
            [str(file) for file in (past, *files) if file.exists()], accumulate=False
        )
        new = past.with_suffix(".new")
        _reserve(new)
        kept = MmapedDict(str(new))
        for metric in summed:
            for sample in metric.samples:
                names, labels = list(sample.labels), list(sample.labels.values())
                key = mmap_key(metric.name, sample.name, names, labels, metric.documentation)
                kept.write_value(key, sample.value, 0.0)
        kept.close()
        new.replace(past)
        for file in files:
            file.unlink()


_folder: _Folder | None = None


def share(path: str) -> None:
    """Count in a folder from now on, together with others; raises BadSettingError.

    To be said before anything is counted. Without a path, or room there, this process counts for
    itself.
    """
    if not path:
        return
    known = _folder and _folder.path == Path(path).absolute()
    chosen = _folder if _folder and known else _Folder(Path(path).absolute())
    try:
        if not known:
            chosen.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            with chosen.locked():
                chosen.add_up()
        chosen.name()
    except OSError as error:
        if error.errno not in NO_ROOM:
            reason = f"PORTAL_METRICS_FOLDER names a folder that cannot be used: {error.strerror}."
            raise BadSettingError(reason) from None
        log.warning("counts not shared", cause=error.strerror)
        _count_in(None)
        return
    if not known:
        _count_in(chosen)


def _count_in(folder: _Folder | None) -> None:
    global _folder  # noqa: PLW0603 - one process counts in one place
    _folder = folder
    if folder:  # prometheus-client asks there alone
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder.path)
        values.ValueClass = values.MultiProcessValue(folder.name)
    else:
        values.ValueClass = values.MutexValue
    for each in EVERY:
        each.forget()


# Telling


class _Given:
    """What is known already, as prometheus-client wants to ask for it."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Metric]:
        return self._families


def gauge(name: str, words: str, values: Mapping[str, float], label: str = "") -> Metric:
    """A value of now, or one for each value of a label."""
    family = GaugeMetricFamily(f"portal_{name}", words, labels=[label] if label else [])
    for value, amount in values.items():
        family.add_metric([value] if label else [], amount)
    return family


def text(*gauges: Metric) -> bytes:
    """All counts of this machine, and some gauges, as Prometheus reads them."""
    registry = CollectorRegistry()
    registry.register(_Given(gauges))
    for each in EVERY:
        each.begin()
    if _folder is None:
        registry.register(_Given(metric for each in EVERY for metric in each.collect()))
        return generate_latest(registry)
    with _folder.locked():
        with suppress(OSError):  # no room: those that ended are told all the same
            _folder.add_up()
        registry.register(MultiProcessCollector(None, str(_folder.path)))
        return generate_latest(registry)


def _reserve(file: Path) -> None:
    """An empty file that has its room; raises OSError, and leaves none, where there is no room."""
    try:
        with file.open("wb") as opened:
            os.posix_fallocate(opened.fileno(), 0, ROOM)
    except OSError:
        file.unlink(missing_ok=True)
        raise


def _is_free(file: Path) -> bool:
    """Whether nobody holds the lock on a file."""
    with file.open() as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    return True
