"""The promises, one module for one or two of them. Each rule takes a ``Case`` and yields what
was not kept."""

from collections.abc import Callable, Iterator

from tests.faults.checker.case import Case
from tests.faults.checker.model import Violation
from tests.faults.checker.rules.attempts import attempts
from tests.faults.checker.rules.cancels import cancels
from tests.faults.checker.rules.final import final
from tests.faults.checker.rules.lists import lists
from tests.faults.checker.rules.log import log
from tests.faults.checker.rules.lost import letters, lost
from tests.faults.checker.rules.readers import readers
from tests.faults.checker.rules.rebuilt import rebuilt
from tests.faults.checker.rules.single import single

Rule = Callable[[Case], Iterator[Violation]]

RULES: dict[str, Rule] = {
    "I0": log,  # the log is whole, and has only steps that the state machine has
    "I1": lost,  # each accepted job is in the log and reaches a final state; one key, one job
    "I2": final,  # a final state never changes, in the log and for readers
    "I3": cancels,  # a canceled job doesn't run; a cancel that was taken is carried out, and holds
    "I4": attempts,  # attempts are counted rightly, and are not more than allowed
    "I5": single,  # one current attempt; what a former owner writes doesn't count
    "I6": rebuilt,  # what workers serve at rest is what the log says
    "I7": readers,  # for one reader, no job goes back
    "I8": lists,  # a list misses nothing that it doesn't name as missing
    "I9": letters,  # what has failed is among the dead letters
}
