"""No recovery by Faust: ``tables.takeover`` reads the changelog itself, before streams resume.

Faust's pass trusts the reported end offset, which one broker reports too small, and can drop
what was fetched while the flow was stopped.
"""

from __future__ import annotations

from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery


class NoRecovery(Recovery):
    """Goes from "assigned" straight to ``app.on_rebalance_complete``, which is awaited."""

    def need_recovery(self) -> bool:
        """Whether Faust shall read changelogs: never."""
        return False


class JobsTableManager(TableManager):
    """A table manager with ``NoRecovery``."""

    @property
    def recovery(self) -> Recovery:
        """The recovery service, made when first asked for."""
        if self._recovery is None:
            self._recovery = NoRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery
