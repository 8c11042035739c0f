"""How long a client waits for a broker that is gone without a word.

A broker that dies closes its connections, and its clients ask another one at once. When its
machine is gone, or the network to it, only a time limit tells; aiokafka 0.14 has one for all
requests, which must be longer than the longest of them: a join, which waits for other members.
"""

from __future__ import annotations

from typing import Any

from aiokafka.client import AIOKafkaClient, ConnectionGroup

# A fetch waits for 1.5 s at most, and answers of some megabytes take their time.
ANSWER_S = 10.0
CONNECT_S = 5.0  # meanwhile aiokafka connects to no other broker, either


def answers_within(
    client: AIOKafkaClient, limit_s: float, coordination_s: float | None = None
) -> None:
    """Set the time limit of a client's requests, before it is started.

    Args:
        coordination_s: another one for what is asked of the group's coordinator.
    """
    client._request_timeout_ms = round(min(limit_s, CONNECT_S) * 1000)  # until connected
    connect = client._get_conn

    async def connection(node_id: Any, *, group: Any = ConnectionGroup.DEFAULT, **how: Any) -> Any:
        made = await connect(node_id, group=group, **how)
        if made is not None:
            coordinates = group is ConnectionGroup.COORDINATION and coordination_s is not None
            made._request_timeout = coordination_s if coordinates else limit_s
        return made

    client._get_conn = connection
