"""How partitions are shared out while topics get more of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import MutableMapping

from aiokafka.cluster import ClusterMetadata
from faust.assignor.partition_assignor import (
    CopartitionedGroups,
    MemberSubscriptionMapping,
    PartitionAssignor,
)


class JobsAssignor(PartitionAssignor):
    """All topics have the same number of partitions, and whoever has one of a topic has that of
    all others. Faust 0.15.3 shares topics with different numbers out apart from each other; while
    partitions are added to one topic after the other, a job's partition and its changelog's would
    go to two workers. So those that not all topics have are nobody's yet."""

    @classmethod
    def _get_copartitioned_groups(
        cls, topics: set[str], cluster: ClusterMetadata, subscriptions: MemberSubscriptionMapping
    ) -> CopartitionedGroups:
        found = super()._get_copartitioned_groups(topics, cluster, subscriptions)
        if len(found) < 2:
            return found
        grouped: MutableMapping[frozenset[str], set[str]] = defaultdict(set)
        for groups in found.values():
            for group in groups:
                who = frozenset(c for c, of in subscriptions.items() if group & set(of))
                grouped[who] |= group
        return {min(found): list(grouped.values())}
