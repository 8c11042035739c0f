"""Histories, good ones and broken ones; whoever imports this has them all."""

from tests.faults.histories import accepted, attempts, canceled, served, sound
from tests.faults.histories.cases import AT_REST, CASES

__all__ = ["AT_REST", "CASES", "accepted", "attempts", "canceled", "served", "sound"]
