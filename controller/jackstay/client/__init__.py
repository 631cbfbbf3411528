"""The only user of the protocol's stubs: typed, async calls on one agent.

``async with await connect(host) as agent: await agent.containers.list(messages.ListContainersRequest())``
"""

from jackstay.client.agent import PROTOCOL, AgentClient, connect

__all__ = ["PROTOCOL", "AgentClient", "connect"]
