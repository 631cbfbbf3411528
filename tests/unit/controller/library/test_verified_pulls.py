"""Pulls that ask for signatures: who looks at them, and that nobody gets by way of another what his policy refuses."""

from __future__ import annotations

from typing import Any

import pytest

from jackstay.errors import InvalidArgument
from jackstay.fleet import FleetResult
from jackstay.library import pulling
from jackstay_oci import media_types
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor
from jackstay_oci.registry import client
from jackstay_oci.registry.registry import Document
from jackstay_oci.signatures.finding import tag
from tests.unit.agent.images.memory_registry import MemoryRegistry
from tests.unit.controller.library.test_pulling import NAME, Agents, agents, outcomes
from tests.unit.oci.signatures.signed import Signer, manifest, payload

__all__ = ["agents"]
OURS, OTHER = Signer(), Signer("other.pub")


async def pull(agents: Agents, *signers: Signer, **options: Any) -> FleetResult[list[Any]]:
    keys = [signer.pem for signer in signers]
    return await agents.select(**options).images.pull([NAME], authorizer=agents.known, verify_keys=keys)


def sources(result: FleetResult[Any]) -> dict[str, tuple[str, str]]:
    return {one.host: (source["from"], source["via"]) for one in result.outcomes for source in one.value[0]["sources"]}


def errors(result: FleetResult[Any]) -> set[str]:
    return {one.error.message for one in result.outcomes if one.error}


async def test_who_asks_looks_at_the_signature_and_the_others_copy(agents: Agents) -> None:
    agents.registry.signers = [OURS.pem]
    result = await pull(agents, OTHER, OURS)
    assert set(outcomes(result).values()) == {"ok"}
    assert len(agents.asked) == 1
    assert {host.images[NAME] for host in agents.hosts.values()} == {str(Digest.of(agents.root))}


async def test_what_is_not_signed_nobody_gets_and_nobody_asks_for_again(agents: Agents) -> None:
    agents.registry.signers = [OTHER.pem]
    result = await pull(agents, OURS)
    assert set(outcomes(result).values()) == {"UNTRUSTED"}
    assert len(agents.asked) == 1
    assert [host.images for host in agents.hosts.values()] == [{}, {}, {}]


async def test_a_key_that_is_none_is_told_before_anybody_is_asked(agents: Agents) -> None:
    with pytest.raises(InvalidArgument, match="key 2 is not a public key"):
        await agents.select().images.pull([NAME], authorizer=agents.known, verify_keys=[OURS.pem, b"none"])
    assert agents.asked == []


async def test_a_host_with_a_policy_asks_the_registry_itself(agents: Agents) -> None:
    agents.registry.signers = [OURS.pem]
    agents.hosts["web2"].policy = True
    result = await pull(agents, fanout=1)
    assert agents.asked == ["web1", "web2"]
    assert sources(result) == {
        "web1": ("registry.example", "registry"),
        "web2": ("registry.example", "registry"),
        "web3": ("web1", "relay"),
    }


@pytest.mark.parametrize("first", [True, False])
async def test_what_its_policy_refuses_it_does_not_get_from_others_either(agents: Agents, first: bool) -> None:
    """And its policy is not the others'."""
    name = "web1" if first else "web2"
    agents.hosts[name].policy = True
    result = await pull(agents, fanout=1)
    assert outcomes(result) == {"web1": "ok", "web2": "ok", "web3": "ok"} | {name: "REFUSED_BY_POLICY"}
    assert errors(result) == {f"{NAME} is not signed"}
    assert agents.hosts[name].images == {}
    assert agents.asked == ["web1", "web2"]


async def test_without_a_way_out_a_host_with_a_policy_says_both(agents: Agents) -> None:
    agents.registry.signers = [OURS.pem]
    agents.hosts["web2"].policy = True
    agents.hosts["web2"].registry = None
    result = await pull(agents, fanout=1)
    assert outcomes(result) == {"web1": "ok", "web2": "REFUSED_BY_POLICY", "web3": "ok"}
    assert errors(result) == {"taken from its registry alone, and the registry cannot be reached"}
    assert agents.hosts["web2"].images == {}


def here(agents: Agents, monkeypatch: pytest.MonkeyPatch, signer: Signer) -> MemoryRegistry:
    """No host has a way out; this machine has, to a registry where *signer* has signed the image."""
    registry = MemoryRegistry()
    root = Descriptor(media_type=media_types.OCI_MANIFEST, digest=Digest.of(agents.root), size=len(agents.root))
    registry.put("app", "1", root, {Digest(digest): data for digest, data in agents.registry.blobs.items()})
    signature = signer.sign(payload(root.digest, "registry.example/app"))
    data = manifest([signature])
    registry.blobs[Digest.of(signature.payload)] = signature.payload
    descriptor = Descriptor(media_type=media_types.OCI_MANIFEST, digest=Digest.of(data), size=len(data))
    document = Document(descriptor, data)
    registry.manifests[f"app:{tag(root.digest)}"] = registry.manifests[f"app@{descriptor.digest}"] = document
    for host in agents.hosts.values():
        host.registry = None

    async def connect(*_: object, **__: object) -> MemoryRegistry:
        return registry

    monkeypatch.setattr(client, "connect", connect)
    return registry


async def test_for_hosts_without_a_way_out_this_machine_looks_at_it(
    agents: Agents, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = here(agents, monkeypatch, OURS)
    result = await pull(agents, OURS)
    assert set(outcomes(result).values()) == {"ok"}
    assert set(sources(result).values()) == {("registry.example", "relay")}
    assert registry.closed == 1


async def test_what_this_machine_refuses_nobody_gets(agents: Agents, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = here(agents, monkeypatch, OTHER)
    result = await pull(agents, OURS)
    assert set(outcomes(result).values()) == {"UNTRUSTED"}
    digest = Digest.of(agents.root)
    assert errors(result) == {f"registry.example/app@{digest} has 1 signature, but none by the key given"}
    assert [host.blobs for host in agents.hosts.values()] == [{}, {}, {}]
    assert registry.closed == 1

    async def nothing(*_: object) -> None:
        pass

    monkeypatch.setattr(pulling, "verify", nothing)
    assert set(outcomes(await pull(agents, OURS)).values()) == {"ok"}
