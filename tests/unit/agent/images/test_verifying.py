"""Pulls that ask for a signature: what is refused leaves nothing; each refusal is no more once it is switched off."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from jackstay_agent.errors import Error, InvalidArgument, PolicyRefused, Unauthorized, Untrusted
from jackstay_agent.images import verifying
from jackstay_agent.images.documents import Target
from jackstay_agent.images.pulling import Pulled, Puller
from jackstay_agent.images.verifying import Verifier
from jackstay_oci import media_types
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor
from jackstay_oci.reference import Reference
from jackstay_oci.registry.registry import Document
from jackstay_oci.signatures import judging
from jackstay_oci.signatures.finding import tag
from jackstay_oci.signatures.judging import Signature
from jackstay_oci.signatures.policy import Policy, SignedBy
from tests.unit.agent.images.image_host import ImageHost, Made, tar
from tests.unit.agent.images.memory_registry import MemoryRegistry
from tests.unit.oci.signatures.signed import Signer, manifest, payload

REPOSITORY = "registry.example/app"
NAME = f"{REPOSITORY}:1"
NOBODY: Any = None
OURS, OTHER = Signer(), Signer("other.pub")
OLD, NEW = Made([tar({"old": b"old"})]), Made([tar({"new": b"new"})])


@pytest.fixture
def registry(host: ImageHost) -> MemoryRegistry:
    """It has `OLD` as app:1, not signed."""
    registry = host.registries["registry.example"] = MemoryRegistry()
    put(registry, OLD)
    return registry


def put(registry: MemoryRegistry, made: Made) -> None:
    registry.put("app", "1", made.root, dict(made.blobs))


def attach(registry: MemoryRegistry, digest: Digest, *signatures: Signature) -> None:
    """The registry has signatures that are said to be of the image *digest*, and no others."""
    data = manifest(list(signatures))
    registry.blobs.update({Digest.of(each.payload): each.payload for each in signatures} | {Digest.of(b"{}"): b"{}"})
    descriptor = Descriptor(media_type=media_types.OCI_MANIFEST, digest=Digest.of(data), size=len(data))
    document = Document(descriptor, data)
    registry.manifests[f"app:{tag(digest)}"] = registry.manifests[f"app@{descriptor.digest}"] = document


def signed(made: Made, signer: Signer = OURS, repository: str = REPOSITORY) -> Signature:
    return signer.sign(payload(made.root.digest, repository))


async def pull(host: ImageHost, *signers: Signer, name: str = NAME, policy: dict[str, Policy] | None = None) -> Pulled:
    puller = Puller(host.content, host.receiver, host.registries, Verifier(policy))
    return await puller.pull(name, NOBODY, host.steps.append, verify_keys=[signer.pem for signer in signers])


async def names(host: ImageHost) -> dict[str, str]:
    rows = await host.column("SELECT name || ' ' || root FROM names")
    return dict(row.split(" ") for row in rows)


async def refused(host: ImageHost, kind: type[Error], says: str, *signers: Signer, **options: Any) -> Error:
    """It is refused in one line that names the image, with a hint; nothing came, and no name changed."""
    before, blobs = await names(host), await host.column("SELECT digest FROM blobs")
    with pytest.raises(Error, match=says) as raised:
        await pull(host, *signers, **options)
    assert type(raised.value) is kind
    assert raised.value.hint
    assert len(raised.value.message.splitlines()) == 1
    assert (await names(host), await host.column("SELECT digest FROM blobs")) == (before, blobs)
    await host.whole()
    return raised.value


async def test_a_signature_by_one_of_the_keys(host: ImageHost, registry: MemoryRegistry) -> None:
    attach(registry, OLD.root.digest, signed(OLD))
    assert (await pull(host, OTHER, OURS)).received.changed
    assert await names(host) == {NAME: str(OLD.root.digest)}
    assert f"GET app {tag(OLD.root.digest)}" in registry.asked
    await host.whole()


async def test_no_signature(host: ImageHost, registry: MemoryRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    error = await refused(host, Untrusted, f"^{REPOSITORY}@{OLD.root.digest} is not signed$", OURS)
    assert "sign" in error.hint
    assert not [question for question in registry.asked if question.startswith("blob")]

    async def nothing(*_: object) -> None:
        pass

    monkeypatch.setattr(Verifier, "verify", nothing)
    assert (await pull(host, OURS)).received.changed


async def test_another_key(host: ImageHost, registry: MemoryRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    attach(registry, OLD.root.digest, signed(OLD, OTHER))
    await refused(host, Untrusted, "has 1 signature, but none by the key given$", OURS)
    await refused(host, Untrusted, "but none by key 1 or key 2$", OURS, Signer())
    monkeypatch.setattr("jackstay_oci.signatures.keys.PublicKey.confirms", lambda *_: True)
    assert (await pull(host, OURS)).received.changed


@pytest.mark.parametrize(
    ("signature", "says"),
    [
        (signed(NEW), f"is for another image, {NEW.root.digest}"),
        (signed(OLD, repository="registry.example/other"), "is for another repository, registry.example/other"),
    ],
    ids=["digest", "repository"],
)
async def test_a_signature_of_something_else(
    host: ImageHost, registry: MemoryRegistry, signature: Signature, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    attach(registry, OLD.root.digest, signature)
    await refused(host, Untrusted, says, OURS)
    monkeypatch.setattr(judging, "_refusal", lambda *_: "")
    assert (await pull(host, OURS)).received.changed


async def test_a_tag_that_was_moved_leaves_what_it_was_here(host: ImageHost, registry: MemoryRegistry) -> None:
    attach(registry, OLD.root.digest, signed(OLD))
    await pull(host, OURS)
    put(registry, NEW)
    await refused(host, Untrusted, f"{NEW.root.digest} is not signed", OURS)
    assert await names(host) == {NAME: str(OLD.root.digest)}
    assert (await pull(host)).received.changed  # without a key nobody asks


@pytest.mark.parametrize("by_digest", [False, True])
async def test_what_is_here_already_is_verified(host: ImageHost, registry: MemoryRegistry, by_digest: bool) -> None:
    name = f"{REPOSITORY}@{OLD.root.digest}" if by_digest else NAME
    await pull(host, name=name)
    await refused(host, Untrusted, "is not signed", OURS, name=name)
    attach(registry, OLD.root.digest, signed(OLD))
    assert not (await pull(host, OURS, name=name)).received.changed


async def test_what_was_pushed_from_here_is_verified(host: ImageHost, registry: MemoryRegistry) -> None:
    await host.load(OLD, NAME)
    root = (await host.pusher.push(NAME, NAME, NOBODY, lambda _: None)).root
    name = f"{REPOSITORY}@{root.digest}"
    registry.asked.clear()
    await pull(host, name=name)
    assert registry.asked == []
    with pytest.raises(Untrusted):
        await pull(host, OURS, name=name)


async def test_keys_are_looked_at_before_anybody_is_asked(host: ImageHost, registry: MemoryRegistry) -> None:
    puller = Puller(host.content, host.receiver, host.registries)
    for keys, says in (
        ([b"none"], "the key given is not a public key in PEM"),
        ([OURS.pem, b"none"], "key 2 is not"),
        ([OURS.pem] * (verifying.MAX_KEYS + 1), "21 keys"),
    ):
        with pytest.raises(InvalidArgument, match=says):
            await puller.pull(NAME, NOBODY, host.steps.append, verify_keys=keys)
    assert registry.asked == []


async def test_a_registry_that_does_not_say_lets_nothing_through(host: ImageHost, registry: MemoryRegistry) -> None:
    registry.no_referrers = Unauthorized("registry.example does not let you look", hint="log in")
    await refused(host, Unauthorized, "does not let you look", OURS)


def by(folder: Path, signer: Signer = OURS) -> SignedBy:
    path = folder / "policy.pub"
    path.write_bytes(signer.pem)
    return SignedBy(keys=(str(path),))


async def test_a_policy_asks_for_a_signature(host: ImageHost, registry: MemoryRegistry, tmp_path: Path) -> None:
    policy: dict[str, Policy] = {"registry.example": by(tmp_path)}
    error = await refused(
        host, PolicyRefused, "is not signed; this host has a policy for registry.example$", policy=policy
    )
    assert "[registries.policy]" in error.hint
    assert (await pull(host)).received.changed
    await refused(host, PolicyRefused, "is not signed", policy=policy, name=f"{REPOSITORY}@{OLD.root.digest}")
    attach(registry, OLD.root.digest, signed(OLD))
    assert not (await pull(host, policy=policy)).received.changed


async def test_of_policy_and_puller_both_must_be_satisfied(
    host: ImageHost, registry: MemoryRegistry, tmp_path: Path
) -> None:
    policy: dict[str, Policy] = {"*": by(tmp_path)}
    attach(registry, OLD.root.digest, signed(OLD))
    await refused(host, Untrusted, "none by the key given", OTHER, policy=policy)
    attach(registry, OLD.root.digest, signed(OLD, OTHER))
    await refused(host, PolicyRefused, "policy.pub; this host has a policy for every registry", OTHER, policy=policy)
    attach(registry, OLD.root.digest, signed(OLD, OTHER), signed(OLD))
    assert (await pull(host, OTHER, policy=policy)).received.changed


async def test_a_policy_that_rejects_asks_nobody(host: ImageHost, registry: MemoryRegistry) -> None:
    rejected: dict[str, Policy] = {"registry.example": "reject"}
    attach(registry, OLD.root.digest, signed(OLD))
    await refused(host, PolicyRefused, f"^{NAME} is rejected: .*registry.example$", OURS, policy=rejected)
    assert registry.asked == []
    assert (await pull(host, policy={"*": "reject", REPOSITORY: "accept"})).received.changed


async def test_a_key_that_cannot_be_read_lets_nothing_through(
    host: ImageHost, registry: MemoryRegistry, tmp_path: Path
) -> None:
    """Not even with another that can be: and it counts as soon as it is there."""
    good, missing = by(tmp_path), tmp_path / "missing.pub"
    policy: dict[str, Policy] = {"*": SignedBy(keys=(*good.keys, str(missing)))}
    attach(registry, OLD.root.digest, signed(OLD))
    await refused(
        host, PolicyRefused, "missing.pub, a key of this host's policy, cannot be read: No such file", policy=policy
    )
    await asyncio.to_thread(missing.write_bytes, b"none")
    await refused(host, PolicyRefused, "missing.pub is not a public key in PEM", policy=policy)
    assert registry.asked == []
    await asyncio.to_thread(missing.write_bytes, OTHER.pem)
    assert (await pull(host, policy=policy)).received.changed


async def test_nothing_comes_by_way_of_another_host(host: ImageHost, tmp_path: Path) -> None:
    """Whoever brings it says that it is a pull; what is loaded or copied is not the policy's."""
    policy: dict[str, Policy] = {"registry.example": by(tmp_path), "rejected.example": "reject"}
    puller = Puller(host.content, host.receiver, host.registries, Verifier(policy))
    for name in (NAME, "rejected.example/app:1"):
        for event in ("load", "import", "pull"):  # so a copy from another host is called, too
            puller.accept_relayed(Target(OLD.root, (name,), event=event))
        with pytest.raises(PolicyRefused, match=f"^{name} is taken from its registry alone") as raised:
            puller.accept_relayed(Target(OLD.root, ("accepted.example/app:1", name), pulled=True))
        assert "--via registry" in raised.value.hint
    puller.accept_relayed(Target(OLD.root, ("accepted.example/app:1",), pulled=True))
    Verifier().accept_relayed(Reference.parse(NAME))
