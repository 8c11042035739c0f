"""Connections that are lost at a bad moment."""

from __future__ import annotations

import asyncio

import uvloop
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.protocol.metadata import MetadataRequest

from log.patience import answers_within
from tests.faults.proxy import Proxy


def test_a_request_right_after_its_connection_was_reset_gets_another_one(kafka: str) -> None:
    """Before aiokafka knows that it was: with uvloop, to write to it is an error of no kind that
    aiokafka expects, and ends what fetches or produces for good."""

    async def ask() -> None:
        client = AIOKafkaClient(bootstrap_servers=network.address)
        answers_within(client, 10.0)
        await client.bootstrap()
        try:
            node = next(iter(client.cluster.brokers())).nodeId
            await client.send(node, MetadataRequest([]))
            lost = client._conns[node, ConnectionGroup.DEFAULT]
            transport = lost._writer.transport
            network.reset()
            network.heal()
            while "closed=True" not in repr(transport):
                await asyncio.sleep(0)
            assert lost.connected(), "aiokafka knows already: it proves nothing"
            answer = await client.send(node, MetadataRequest([]))
            assert [broker[0] for broker in answer.brokers] == [node]
        finally:
            await client.close()

    with Proxy(kafka) as network:
        uvloop.run(asyncio.wait_for(ask(), 30))
