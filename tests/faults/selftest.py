"""Does the harness bite? The product with one safeguard turned off, under the faults that this
safeguard is there for: each time something must be found. `make faults-selftest`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.faults.plan import SESSION_S, Plan, Step

LONG_S = SESSION_S + 6


@dataclass(frozen=True)
class Mutant:
    """A safeguard that is off, by its name in ``tests.apps.mutations``, and what should show it.

    ``everywhere``: settings of all workers.
    """

    name: str
    steps: tuple[Step, ...] = ()
    everywhere: Mapping[str, str] = field(default_factory=dict)

    def plan(self, *, mutated: bool = True) -> Plan:
        """The schedule; the same with the product as it is."""
        settings = {**self.everywhere, **({"MUTATION": self.name} if mutated else {})}
        return Plan(
            seed=1,
            workers=2,
            brokers=1,
            seconds=20.0,
            rate=20.0,
            steps=self.steps,
            lives=[[settings] * 9, [settings] * 9],
        )


MUTANTS = (
    # Cut off from Kafka, a worker goes on; what it shows as done is done again elsewhere.
    Mutant("visible before durable", (Step(4, "cut", 0, LONG_S),)),
    # Paused longer than its session, a worker goes on where it was.
    Mutant("no fence", (Step(3, "pause", 0, LONG_S), Step(5, "pause", 1, 3.0))),
    Mutant("no audit", everywhere={"DROP_EVERY": "20"}),
    # Little room, so that more is delivered than handled; then a death.
    Mutant(
        "commit what is delivered",
        (Step(6, "kill", 0, 1.0), Step(12, "kill", 1, 1.0)),
        {"JOBS_MAX_OPEN": "4", "JOBS_WORKERS": "2", "JOBS_RERUN_WORKERS": "2"},
    ),
    Mutant("no resume", (Step(6, "kill", 0, 1.0), Step(12, "kill", 1, 1.0))),
)
