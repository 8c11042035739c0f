"""From a seed to a schedule of faults: the same number, the same schedule.

What happens inside of the workers at each moment isn't repeated by a seed, only what is done to
them; a schedule that failed once is run many times to see it again.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

POINTS = (
    "ownership",
    "waiting",
    "executing",
    "final",
    "retry",
    "dead",
    "cancel",
    "submit",
    "release",
)
PHASES = ("before", "sent", "acked")
KILL_POINTS = (
    *[f"{point}:{phase}" for phase in PHASES for point in POINTS],
    "commit:before",
    "commit:acked",
)
# How often it is passed in a life.
RARE = {"ownership": 4, "release": 2, "dead": 3, "cancel": 3, "commit": 8, "waiting": 10}
OFTEN = 40

SESSION_S = 6.0  # of the group: the least that Apache Kafka allows


@dataclass(frozen=True)
class Step:
    """Something that is done at a time of the load, to a worker or a broker.

    ``for_s``: until it is undone.
    """

    at_s: float
    fault: str
    target: int = 0
    for_s: float = 0.0

    def __str__(self) -> str:
        lasts = f" for {self.for_s:.1f}s" if self.for_s else ""
        return f"{self.at_s:.1f}s {self.fault} {self.target}{lasts}"


@dataclass(frozen=True)
class Plan:
    """A schedule of faults over a load.

    ``lives``: for each worker the settings of its lives, one after another; when they are used
    up, it lives on with none. ``readers``: how many follow jobs, and how many read lists.
    ``settings``: of all workers.
    """

    seed: int
    workers: int
    brokers: int
    seconds: float
    rate: float
    steps: Sequence[Step] = ()
    lives: Sequence[Sequence[dict[str, str]]] = field(default_factory=list)
    poison: int = 0
    long_s: float = 0.0
    store: bool = False
    readers: tuple[int, int] = (8, 2)
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def jobs(self) -> int:
        """How many the load submits."""
        return round(self.seconds * self.rate)

    def __str__(self) -> str:
        told = [
            f"seed {self.seed}: {self.jobs} jobs, {self.workers} workers, {self.brokers} brokers"
        ]
        told += ["copies of the rows on disk"] if self.store else []
        told += [str(step) for step in self.steps]
        for n, lives in enumerate(self.lives):
            told += [f"worker {n} {life}" for life in lives if life]
        told += [f"{self.poison} poison"] if self.poison else []
        return "; ".join(told)


def plan(seed: int, *, seconds: float = 20.0, rate: float = 20.0) -> Plan:
    """The schedule of a seed. Each seed has one family of faults for certain, by its number, so
    that a row of seeds has them all; others come by chance."""
    choice = random.Random(seed)
    workers = choice.choice((2, 2, 3))
    certain = FAMILIES[seed % len(FAMILIES)]
    others = [name for name in choice.sample(FAMILIES, 2) if name != certain]
    families = {certain, *others[: choice.choice((1, 2))]}
    lives: list[list[dict[str, str]]] = [[] for _ in range(workers)]
    everywhere: dict[str, str] = {}
    steps: list[Step] = []

    def some_time() -> float:
        return round(choice.uniform(2.0, seconds - 2.0), 1)

    for name in sorted(families):
        target = choice.randrange(workers)
        match name:
            case "kill" | "terminate":
                steps += [
                    Step(some_time(), name, choice.randrange(workers), choice.uniform(0.2, 3))
                    for _ in range(2)
                ]
            case "kill at a point":
                for n in range(workers):
                    lives[n] += [{"KILL_AT": _point(choice)} for _ in range(choice.choice((1, 2)))]
            case "pause":
                lasts = choice.uniform(SESSION_S + 2, SESSION_S + 6)
                steps.append(Step(some_time(), name, target, lasts))
            case "join and leave":
                steps += [Step(at, "join", workers, 3.5) for at in range(2, round(seconds), 6)]
            case "cut" | "reset" | "slow":
                steps.append(Step(some_time(), name, target, choice.uniform(2, SESSION_S + 6)))
            case "store":
                steps.append(Step(some_time(), "kill", target, 0.5))
                steps.append(Step(some_time(), "delete the copies"))
            case "broker" | "leader":
                at = some_time()
                steps.append(Step(at, "kill the leader", 0, choice.uniform(0.5, 8)))
            case "drop":
                everywhere["DROP_EVERY"] = str(choice.choice((20, 50)))
            case "clock":
                by = choice.choice((-3600, -30, 30, 3600))
                lives[target].append({"CLOCK_JUMP": f"{some_time()}:{by}"})
    if "store" in families:
        # By a choice of its own: the other schedules stay what they were.
        disk = random.Random(f"disk {seed}")
        if disk.random() < 2 / 3:
            at = round(disk.uniform(2.0, seconds - 2.0), 1)
            steps.append(Step(at, "fill the disk", 0, disk.uniform(2, 6)))
    lives = [[everywhere | life for life in [*own, {}]] for own in lives]
    return Plan(
        seed=seed,
        workers=workers,
        brokers=3 if "leader" in families else 1,
        seconds=seconds,
        rate=rate,
        steps=sorted(steps, key=lambda step: step.at_s),
        lives=lives,
        poison=1 if "poison" in families else 0,
        long_s=SESSION_S * 3 if "long" in families else 0.0,
        store="store" in families,
    )


FAMILIES = (
    "kill",
    "kill at a point",
    "pause",
    "terminate",
    "cut",
    "join and leave",
    "broker",
    "drop",
    "poison",
    "reset",
    "clock",
    "slow",
    "long",
    "store",
    "leader",
)
NETWORK = ("cut", "reset", "slow")


def _point(choice: random.Random) -> str:
    point = choice.choice(KILL_POINTS)
    most = RARE.get(point.partition(":")[0], OFTEN)
    return f"{point}:{choice.randint(1, most)}"
