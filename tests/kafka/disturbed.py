"""A group of workers to whom everything happens that may: they die and sleep, servers too, lines are cut."""

from __future__ import annotations

import random
import re
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache

import psutil

from policyengine.authoring.check import check_folder
from policyengine.bootstrap import shipped_rules
from policyengine.service.policy_sets import PolicySet, prepare
from tests.kafka.crashing import MARK, POINTS
from tests.kafka.nursery import Child
from tests.kafka.servers import Servers
from tests.kafka.soundness import faults_of
from tests.kafka.streams import PATIENCE
from tests.kafka.workers import Group
from tests.support import catalogue

RULES = shipped_rules() / "travel"
SESSION = 2.0  # seconds after which a worker that sleeps is given up
_TURN = 0.1
_AWAY = re.compile(
    r"^error: PE7(13|02|20|21|01)\b", re.MULTILINE
)  # a worker that starts while a server is away
_NEVER = re.compile(r"Traceback|cannot go on|PE70[5-9]|PE71[0-2]|PE8\d\d|PE723|Fatal Python|knows of less")


@cache
def policies() -> PolicySet:
    """What the workers decide under."""
    return check_folder(RULES, catalogue(), prepare)


@dataclass
class Life:
    """A worker and what was done to it."""

    process: Child
    number: int
    at: tuple[str, ...] = ()
    name: int = 0  # its own in the group, where it has one
    told: bool = False  # to end in order
    killed: bool = False
    wakes_at: float | None = None


@dataclass
class Round:
    """A group that is disturbed."""

    servers: Servers
    group: Group
    chance: random.Random
    counts: Counter[str]
    minimum: int = 2
    points: list[str] = field(default_factory=list)  # those that are still to be reached; others by chance
    by_chance: bool = True
    named: bool = False  # whether workers are known to the group by names, which their successors have, too
    disturbing: bool = True
    lives: list[Life] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    _ends: list[tuple[float, str, Callable[[], None]]] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)

    def note(self, text: str) -> None:
        """What happened when, beside the workers' logs."""
        with (self.group.folder / "chaos.log").open("a") as log:
            log.write(
                f"{time.monotonic() - self._began:8.2f} {time.strftime('%H:%M:%S', time.gmtime())} {text}\n"
            )

    # --- workers ------------------------------------------------------------------------------------

    def turn(self) -> None:
        """Look after what is due: workers that ended are followed by others, sleepers wake."""
        now = time.monotonic()
        for life in list(self.lives):
            self._look_at(life, now)
        while self.living < self.minimum:
            self.start()
        for end in [one for one in self._ends if one[0] <= now]:
            self._ends.remove(end)
            self.note(f"end of {end[1]}")
            end[2]()
        time.sleep(_TURN)

    @property
    def living(self) -> int:
        """Workers that are awake."""
        return sum(one.wakes_at is None for one in self.lives)

    def armed(self, *, but: str) -> bool:
        """Whether a worker has yet to come to its point; ``but``: those points are not waited for."""
        return any(
            one.at and not one.at[0].startswith(but) and self._point(one) == "anywhere" for one in self.lives
        )

    def start(self, *at: str) -> Life:
        """One more worker, perhaps one with a point at which something happens to it."""
        if not at and self.disturbing and self.points:
            at = (self.points.pop(),)
        elif not at and self.disturbing and self.by_chance and self.chance.random() < 0.8:
            how = "kill" if self.chance.random() < 0.6 else "stop"
            at = (f"{self.chance.choice(list(POINTS))}:{self.chance.randint(1, 3)}:{how}",)
        taken = {one.name for one in self.lives if one.wakes_at is None}
        name = next(one for one in range(100) if one not in taken)
        named = {"POLICYENGINE_KAFKA_INSTANCE_ID": f"worker-{name}"} if self.named else {}
        life = Life(self.group.start(*at, **named), len(self.group.workers) - 1, at, name)
        self.lives.append(life)
        self.counts["workers started"] += 1
        self.note(f"worker {life.number} started {' '.join(at)} {' '.join(named.values())}")
        return life

    def story(self) -> str:
        """What happened, and what the workers wrote last."""
        parts = [f"faults: {self.faults}", (self.group.folder / "chaos.log").read_text()]
        for number in range(len(self.group.workers)):
            told = self.group.log_of(number).read_text(errors="replace").splitlines()[-6:]
            parts.append(f"worker {number}: " + "\n    ".join(one[:400] for one in told))
        return "\n".join(parts)

    def _look_at(self, life: Life, now: float) -> None:
        ended = life.process.poll()
        if ended is not None:
            self.lives.remove(life)
            self._ended(life, ended)
        elif life.wakes_at is None:
            with suppress(psutil.NoSuchProcess):
                if psutil.Process(life.process.pid).status() == psutil.STATUS_STOPPED:
                    self._sleeps(life, now, self._point(life))
        elif now >= life.wakes_at:
            life.wakes_at = None
            self.note(f"worker {life.number} wakes")
            life.process.send_signal(signal.SIGCONT)

    def _sleeps(self, life: Life, now: float, at: str) -> None:
        life.wakes_at = now + SESSION + self.chance.uniform(0.5, 4)
        self.counts[f"asleep {at}"] += 1
        self.note(f"worker {life.number} sleeps {at}")

    def _point(self, life: Life) -> str:
        marks = [one for one in self._log(life).splitlines() if one.startswith(MARK)]
        return f"at {marks[-1].removeprefix(MARK).split(':')[0].strip()}" if marks else "anywhere"

    def _log(self, life: Life) -> str:
        return self.group.log_of(life.number).read_text(errors="replace")

    def _ended(self, life: Life, code: int) -> None:
        log = self._log(life)
        self.note(f"worker {life.number} ended with {code}")
        if code == -signal.SIGKILL:
            self.counts["killed anywhere" if life.killed else f"killed {self._point(life)}"] += 1
        elif code in {0, -signal.SIGTERM} and life.told:  # the latter where it had only begun to start
            self.counts["ended as told"] += 1
        elif code == 128 + signal.SIGTERM and life.told and self.disturbing:
            self.counts["ended by its watchdog"] += 1  # told to stop while a server was away
        elif code == 2 and "error: PE724" in log and self.named:
            self.counts["ended, another had its name"] += 1
        elif code == 2 and _AWAY.search(log):
            self.counts["not started, a server was away"] += 1
            self.points += life.at if self.disturbing and not self.by_chance else ()
        else:
            self._fault(f"worker {life.number} ended with {code} by itself: {log.splitlines()[-1:]}")

    def _fault(self, text: str) -> None:
        self.note(f"FAULT {text}")
        self.faults.append(text)

    # --- disturbances -------------------------------------------------------------------------------

    def disturb(self) -> None:
        """Something of the list, unless it is happening already."""
        name = self.chance.choices(list(DISTURBANCES), [_OFTEN.get(one, 1) for one in DISTURBANCES])[0]
        if not any(one[1].split()[0] == name.split()[0] for one in self._ends):
            self.cause(name)

    def cause(self, name: str) -> None:
        """Let it happen."""
        self.note(name)
        self.counts[name] += 1
        DISTURBANCES[name](self)

    def awake(self) -> Life | None:
        """Some worker that nothing has happened to yet."""
        found = [
            one for one in self.lives if one.wakes_at is None and not one.told and one.process.poll() is None
        ]
        return self.chance.choice(found) if found else None

    def later(self, seconds: float, name: str, do: Callable[[], None]) -> None:
        """End something after a while."""
        self._ends.append((time.monotonic() + seconds, name, do))

    def calm(self) -> None:
        """Mend everything; what is armed may still go off."""
        self.disturbing = False
        for _, name, end in self._ends:
            self.note(f"end of {name}")
            end()
        self._ends.clear()
        self.servers.broker.wait()
        for life in self.lives:
            if life.wakes_at is not None:
                life.wakes_at = 0.0

    def until(self, done: Callable[[], bool], what: str) -> bool:
        """Wait for something and look after workers meanwhile; a fault where it does not come."""
        end = time.monotonic() + PATIENCE
        while not done():
            self.turn()
            if time.monotonic() > end:
                self._fault(f"{what} after {PATIENCE:.0f} s")
                return False
        return True

    # --- the end ------------------------------------------------------------------------------------

    def finish(self, sent: int, compared: PolicySet | None) -> int:
        """Calm, wait until all is read and published, end the workers, look for faults; the decisions."""
        self.calm()
        group = self.group
        if self.until(lambda: group.position() >= sent, f"not all of {sent} messages are taken in"):
            self.until(group.world_is_through, "the world's events are not all taken in")
            self.until(group.is_published, "not everything is published")
        for life in self.lives:
            life.told = True
            life.process.send_signal(signal.SIGCONT)
            life.process.send_signal(signal.SIGTERM)
        self.minimum = 0
        self.until(lambda: not self.lives, "workers do not end")
        found = faults_of(group, compared)
        for fault in found[:20]:
            self._fault(fault)
        for number in range(len(group.workers)):
            for line in group.log_of(number).read_text(errors="replace").splitlines():
                if _NEVER.search(line):
                    self._fault(f"worker {number} says: {line[:600]}")
        return sum(map(len, group.decision_headers().values()))


def _kill(this: Round) -> None:
    if life := this.awake():
        life.killed = True
        life.process.kill()


def _sleep(this: Round) -> None:
    if life := this.awake():
        life.process.send_signal(signal.SIGSTOP)


def _terminate(this: Round) -> None:
    if life := this.awake():
        life.told = True
        life.process.send_signal(signal.SIGTERM)


def _broker(end: str) -> Callable[[Round], None]:
    def happen(this: Round) -> None:
        getattr(this.servers.broker, end)()
        this.later(this.chance.uniform(0, 3), "broker away", lambda: this.servers.broker.start(wait=False))
        this.later(10, "broker starting", lambda: None)

    return happen


def _database(end: Callable[[Servers], None]) -> Callable[[Round], None]:
    def happen(this: Round) -> None:
        end(this.servers)
        this.later(this.chance.uniform(0, 3), "database away", this.servers.database.start)

    return happen


def _frozen(what: str, find: Callable[[Servers], object]) -> Callable[[Round], None]:
    def happen(this: Round) -> None:
        one = find(this.servers)
        one.freeze()  # type: ignore[attr-defined]
        this.later(this.chance.uniform(1, 8), what, one.thaw)  # type: ignore[attr-defined]

    return happen


DISTURBANCES: dict[str, Callable[[Round], None]] = {
    "worker killed": _kill,
    "worker put to sleep": _sleep,
    "worker told to stop": _terminate,
    "broker killed": _broker("kill"),
    "broker stopped": _broker("stop"),
    "broker frozen": _frozen("broker frozen", lambda both: both.broker),
    "database killed": _database(lambda both: both.database.kill()),
    "database stopped fast": _database(lambda both: both.database.stop("fast")),
    "database stopped immediately": _database(lambda both: both.database.stop("immediate")),
    "database frozen": _frozen("database frozen", lambda both: both.database),
    "database ends connections": lambda this: this.servers.end_connections(),
    "line-to-broker cut": lambda this: this.servers.to_broker.cut(),
    "line-to-broker frozen": _frozen("line-to-broker frozen", lambda both: both.to_broker),
    "line-to-database cut": lambda this: this.servers.to_database.cut(),
    "line-to-database frozen": _frozen("line-to-database frozen", lambda both: both.to_database),
}


# a server that is away holds everything up: things that happen to workers come more often
_OFTEN = {"worker killed": 4, "worker put to sleep": 3, "worker told to stop": 2, **{
    name: 2 for name in DISTURBANCES if name.endswith(("cut", "connections"))
}}  # fmt: skip
