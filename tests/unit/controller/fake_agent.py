# ruff: noqa: N802  # the protocol names its methods
"""Agents for tests of the command line: a real gRPC server a host, whose images and containers are only remembered.

Run as a program with host names; for each folder that it is told, fresh hosts listen on ``FOLDER/NAME.sock``. It runs
in a process of its own, since the command line under test brings its own event loop. Containers "run" a few commands:
see ``process``.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NoReturn

import grpc.aio

from jackstay_oci.reference import Reference
from jackstay_proto.v1 import (
    containers_pb2,
    containers_pb2_grpc,
    content_pb2,
    content_pb2_grpc,
    errors_pb2,
    images_pb2,
    images_pb2_grpc,
    networks_pb2,
    networks_pb2_grpc,
    secrets_pb2,
    secrets_pb2_grpc,
    system_pb2,
    system_pb2_grpc,
    volumes_pb2,
    volumes_pb2_grpc,
)

PIECE = 64 * 1024
CREATED = 1_700_000_000
RANGES_OPEN = 8


async def fail(context: Any, reason: str, message: str, hint: str = "") -> NoReturn:
    """End the call as an agent's interceptor does."""
    detail = errors_pb2.ErrorDetail(reason=errors_pb2.Reason.Value(reason), message=message, hint=hint)
    metadata = (("jackstay-error-bin", detail.SerializeToString()),)
    await context.abort(grpc.StatusCode.FAILED_PRECONDITION, message, metadata)
    raise AssertionError


def canonical(name: str) -> str:
    return str(Reference.parse(name).with_default_tag())


@dataclass
class FakeContainer:
    id: str
    request: containers_pb2.CreateContainerRequest
    state: str = "created"
    exit_code: int = 0
    log: list[containers_pb2.LogEntry] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    started: asyncio.Event = field(default_factory=asyncio.Event)
    signal: asyncio.Queue[str] = field(default_factory=asyncio.Queue)


@dataclass
class FakeRegistry:
    """What agents that reach it can pull; it asks each who it is."""

    images: dict[str, str] = field(default_factory=dict)  # name → digest of its root
    blobs: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)  # host, and the header that it was given
    refusal: tuple[str, str] = ("", "")  # reason and message
    pushes: list[tuple[str, str, str, str]] = field(default_factory=list)  # image, destination, platform, compression
    wanted: list[str] = field(default_factory=list)  # scopes that a push is asked for, in place of its own
    signers: list[bytes] = field(default_factory=list)  # public keys of who has signed all of its images


@dataclass
class FakeHost:
    name: str
    registry: FakeRegistry | None = None  # None: no way out
    full: bool = False  # its disk
    policy: bool = False  # images must be signed, by anybody
    blobs: dict[str, bytes] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)  # name → digest of its root
    containers: dict[str, FakeContainer] = field(default_factory=dict)  # name → container
    volumes: dict[str, volumes_pb2.Volume] = field(default_factory=dict)

    def document(self, digest: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.blobs[digest])
        return document

    def closure(self, root: str) -> list[str]:
        seen: dict[str, None] = {}
        waiting = [root]
        while waiting:
            digest = waiting.pop(0)
            if digest in seen or digest not in self.blobs:
                continue
            seen[digest] = None
            if self.blobs[digest][:1] == b"{":
                waiting.extend(children(self.document(digest)))
        return list(seen)


def children(document: dict[str, Any]) -> list[str]:
    below = [*document.get("manifests", ()), *document.get("layers", ())]
    if "layers" in document:
        below.append(document["config"])
    return [item["digest"] for item in below]


class FakeSystem(system_pb2_grpc.SystemServicer):
    def __init__(self, host: FakeHost) -> None:
        self.host = host

    async def Version(self, request: Any, context: Any) -> system_pb2.VersionReply:
        return system_pb2.VersionReply(
            version="0.1.0", protocol=1, runtime="crun 1.8.1", kernel="6.1.0", os="linux", architecture="amd64"
        )

    async def Info(self, request: Any, context: Any) -> system_pb2.InfoReply:
        document = {"Name": self.host.name, "Containers": len(self.host.containers), "Swarm": {"Active": False}}
        return system_pb2.InfoReply(document=json.dumps(document))

    async def Events(self, request: Any, context: Any) -> AsyncIterator[system_pb2.EventsReply]:
        """A start and its end; who has no end of his own is sent away by web3 after them."""
        attributes = {"name": "srv", "image": "app:1"}
        events = [
            system_pb2.Event(
                type="container", action="start", id="c" * 64, attributes=attributes, time_ns=CREATED * 10**9 + 7
            ),
            system_pb2.Event(type="volume", action="prune", id="", time_ns=CREATED * 10**9 + 8),
        ]
        if request.since_ns:
            yield system_pb2.EventsReply(events=[each for each in events if each.time_ns >= request.since_ns])
        yield system_pb2.EventsReply(live=True)
        if not request.until_ns and self.host.name == "web3":
            await fail(context, "INTERNAL", "the agent stops")
        while not request.until_ns:
            await asyncio.sleep(60)

    async def Check(self, request: Any, context: Any) -> AsyncIterator[system_pb2.CheckReply]:
        """On web2 a blob is missing, elsewhere all is well."""
        yield system_pb2.CheckReply(progress=system_pb2.CheckProgress(doing="blobs", current=1, total=2))
        found = int(self.host.name == "web2")
        if found:
            finding = system_pb2.CheckFinding(
                kind="missing",
                thing="blob",
                name="sha256:" + "d" * 64,
                detail="app:1 needs it",
                hint="load app:1 again",
            )
            yield system_pb2.CheckReply(finding=finding)
        yield system_pb2.CheckReply(done=system_pb2.CheckDone(blobs=2, layers=1, images=1, bytes=1000, found=found))

    async def DiskUsage(self, request: Any, context: Any) -> system_pb2.DiskUsageReply:
        usage = system_pb2.DiskUsage(type="Images", total=2, active=1, size=4_000_000, reclaimable=1_000_000)
        image = {
            "Id": "sha256:" + "a" * 64, "RepoTags": ["app:1", "app:2"], "RepoDigests": ["app@sha256:" + "b" * 64],
            "Created": CREATED, "Size": 4_000_000, "SharedSize": 1_234_567, "Labels": {}, "Containers": 1,
        }  # fmt: skip
        container = {
            "Id": "c" * 64, "Names": ["/srv"], "Image": "app:1", "ImageID": image["Id"], "Command": "serve all",
            "Created": CREATED, "State": "exited", "Started": CREATED, "Finished": CREATED, "ExitCode": 3,
            "SizeRw": 4096, "SizeRootFs": 4_004_096, "Labels": {}, "Mounts": [{"Type": "volume", "Source": "data"}],
        }  # fmt: skip
        volume = {
            "Name": "data", "Driver": "local", "Mountpoint": "/v/data", "Labels": {"a": "1"}, "Scope": "local",
            "UsageData": {"Size": 12_345, "RefCount": 1},
        }  # fmt: skip
        ingest = {
            "Ref": "blob", "Digest": "sha256:" + "e" * 64, "Offset": 300, "Total": None, "Active": False,
            "UpdatedAt": "2023-11-14T22:13:20.5Z",
        }  # fmt: skip
        blob = {"Digest": "sha256:" + "d" * 64, "Size": 12_345_678, "Created": CREATED, "Images": 2}
        document = {
            "Images": [image, {**image, "RepoTags": [], "RepoDigests": []}], "Containers": [container],
            "Volumes": [volume], "BuildCache": [], "Blobs": [blob], "Ingests": [ingest],
        }  # fmt: skip
        return system_pb2.DiskUsageReply(usage=[usage], document=json.dumps(document))


class FakeContent(content_pb2_grpc.ContentServicer):
    def __init__(self, host: FakeHost) -> None:
        self.host = host

    def describe(self, digest: str) -> content_pb2.Descriptor:
        return content_pb2.Descriptor(
            digest=digest, size=len(self.host.blobs[digest]), media_type=media_type(self.host, digest)
        )

    async def Resolve(self, request: Any, context: Any) -> AsyncIterator[content_pb2.ResolveReply]:
        name = canonical(request.image)
        digest = str(Reference.parse(name).digest)
        root = self.host.images.get(name) or (digest if digest in self.host.blobs else None)
        if root is None:
            await fail(context, "NOT_FOUND", f"no image {request.image}")
        blobs = [self.describe(digest) for digest in self.host.closure(root)]
        yield content_pb2.ResolveReply(name=name, root=self.describe(root), blobs=blobs)
        await asyncio.Event().wait()

    async def Read(self, request: Any, context: Any) -> AsyncIterator[content_pb2.ReadReply]:
        data = self.host.blobs.get(request.digest)
        if data is None:
            await fail(context, "NOT_FOUND", f"no blob {request.digest}")
        data = data[request.offset :][: request.length or None]
        for start in range(0, len(data), PIECE):
            yield content_pb2.ReadReply(data=data[start : start + PIECE])

    async def Missing(self, request: Any, context: Any) -> content_pb2.MissingReply:
        return content_pb2.MissingReply(digests=[d for d in request.digests if d not in self.host.blobs])


def media_type(host: FakeHost, digest: str) -> str:
    if host.blobs[digest][:1] != b"{":
        return "application/vnd.oci.image.layer.v1.tar"
    default = "application/vnd.oci.image.config.v1+json"
    return str(host.document(digest).get("mediaType", default))


class FakeImages(images_pb2_grpc.ImagesServicer):
    def __init__(self, host: FakeHost) -> None:
        self.host = host

    async def Fetch(self, requests: Any, context: Any) -> AsyncIterator[images_pb2.FetchReply]:
        start = (await anext(aiter(requests))).start
        if self.host.policy and any(target.pulled for target in start.images):
            await fail(context, "REFUSED_BY_POLICY", "taken from its registry alone")
        fetch = _Fetch(self.host, requests, context)
        done = images_pb2.FetchDone()
        for target in start.images:
            before = (fetch.sent, fetch.spared)
            async for reply in fetch.image(target.root.digest, target.root.size):
                yield reply
            changed = any(self.host.images.get(name) != target.root.digest for name in target.names)
            self.host.images.update(dict.fromkeys(target.names, target.root.digest))
            done.images.add(
                names=target.names,
                image_id=self.config_of(target.root.digest),
                root=target.root,
                changed=changed,
                bytes_sent=fetch.sent - before[0],
                bytes_spared=fetch.spared - before[1],
            )
        done.bytes_sent, done.bytes_spared = fetch.sent, fetch.spared
        yield images_pb2.FetchReply(done=done)

    async def Pull(self, requests: Any, context: Any) -> AsyncIterator[images_pb2.PullReply]:
        start = (await anext(aiter(requests))).start
        registry, host = self.host.registry, self.host
        if registry is None:
            await fail(context, "REGISTRY_FAILED", "the registry cannot be reached", "check the network")
        name = Reference.parse(start.reference)
        wanted = images_pb2.AuthorizationWanted(
            request=1, registry=name.registry, url=f"https://{name.registry}", scheme="bearer", realm="https://auth",
            service="s", scopes=[f"repository:{name.repository}:pull"],
        )  # fmt: skip
        yield images_pb2.PullReply(authorization=wanted)
        given = (await anext(aiter(requests))).authorization
        registry.asked.append((host.name, given.header))
        if registry.refusal[0]:
            await fail(context, *registry.refusal)
        if start.verify_keys and not set(start.verify_keys) & set(registry.signers):
            await fail(context, "UNTRUSTED", f"{start.reference} is not signed by a key given")
        if host.policy and not registry.signers:
            await fail(context, "REFUSED_BY_POLICY", f"{start.reference} is not signed")
        if host.full:
            await fail(context, "DISK_FULL", f"no space left on {host.name}")
        root = registry.images[start.reference]
        sent = sum(len(data) for digest, data in registry.blobs.items() if digest not in host.blobs)
        changed = host.images.get(start.reference) != root
        host.blobs.update(registry.blobs)
        host.images[start.reference] = root
        done = images_pb2.PullDone(given=[images_pb2.GivenBytes(name=name.registry, bytes=sent)] if sent else [])
        done.image.names.append(start.reference)
        done.image.root.digest, done.image.root.size = root, len(host.blobs[root])
        done.image.changed, done.image.bytes_sent = changed, sent
        yield images_pb2.PullReply(done=done)

    async def Push(self, requests: Any, context: Any) -> AsyncIterator[images_pb2.PushReply]:
        start = (await anext(aiter(requests))).start
        registry, host = self.host.registry, self.host
        if registry is None:
            await fail(context, "REGISTRY_FAILED", "the registry cannot be reached", "check the network")
        to = Reference.parse(start.destination)
        registry.pushes.append((start.image, start.destination, start.platform, start.compression))
        for number, scope in enumerate(registry.wanted or [f"repository:{to.repository}:pull,push"], 1):
            wanted = images_pb2.AuthorizationWanted(
                request=number, registry=to.registry, url=f"https://{to.registry}", scheme="bearer",
                realm="https://auth", service="s", scopes=scope.split(" "),
            )  # fmt: skip
            yield images_pb2.PushReply(authorization=wanted)
            given = (await anext(aiter(requests))).authorization
            if given.reason:
                await fail(context, given.reason, given.message)
            registry.asked.append((host.name, given.header))
        root = host.images.get(start.image)
        if root is None:
            await fail(context, "NOT_FOUND", f"No such image: {start.image}")
        sent = 0
        for digest in host.closure(root):
            size = len(host.blobs[digest])
            lacking = digest not in registry.blobs
            for phase in ("COMPRESSING", "SENDING", "SENT") if lacking else ("PRESENT",):
                step = images_pb2.PushProgress(digest=digest, phase=phase, current=size // 2, total=size)
                yield images_pb2.PushReply(progress=step)
            sent += size if lacking else 0
        registry.blobs.update({digest: host.blobs[digest] for digest in host.closure(root)})
        registry.images[start.destination] = root
        done = images_pb2.PushDone(bytes_sent=sent, bytes_spared=7)
        done.root.digest, done.root.size = root, len(host.blobs[root])
        yield images_pb2.PushReply(done=done)

    def config_of(self, root: str) -> str:
        document = self.host.document(root)
        if "manifests" in document:
            return self.config_of(document["manifests"][0]["digest"])
        return str(document["config"]["digest"])

    async def List(self, request: Any, context: Any) -> images_pb2.ListImagesReply:
        images = []
        for name, root in self.host.images.items():
            reference = Reference.parse(name)
            full = f"{reference.familiar_name}:{reference.tag}"
            patterns = [text.removeprefix("reference=") for text in request.filters if text.startswith("reference=")]
            if patterns and not any(fnmatchcase(full, p) or fnmatchcase(reference.familiar_name, p) for p in patterns):
                continue
            asked = request.reference
            if asked and not (fnmatchcase(full, asked) or fnmatchcase(reference.familiar_name, asked)):
                continue
            images.append(
                images_pb2.ImageSummary(
                    id=self.config_of(root),
                    repository=reference.familiar_name,
                    tag=reference.tag or "<none>",
                    digest=root,
                    created=CREATED,
                    size=sum(len(self.host.blobs[d]) for d in self.host.closure(root)),
                )
            )
        return images_pb2.ListImagesReply(images=images)

    async def Inspect(self, request: Any, context: Any) -> images_pb2.InspectImageReply:
        root = self.host.images.get(canonical(request.image))
        if root is None:
            await fail(context, "NOT_FOUND", f"no image {request.image}")
        document = {"Id": self.config_of(root), "RepoTags": [request.image], "Config": {"Cmd": ["sh"], "Tty": False}}
        return images_pb2.InspectImageReply(document=json.dumps(document))

    async def History(self, request: Any, context: Any) -> images_pb2.HistoryReply:
        entry = images_pb2.HistoryEntry(id="sha256:" + "a" * 64, created=CREATED, created_by="COPY . /", size=1234)
        return images_pb2.HistoryReply(entries=[entry])

    async def Layers(self, request: Any, context: Any) -> AsyncIterator[images_pb2.ImageLayers]:  # type: ignore[override]
        base = images_pb2.Layer(chain_id="sha256:" + "1" * 64, diff_id="sha256:" + "1" * 64, size=5, created_by="ADD x")
        for name, root in self.host.images.items():
            if not request.images or canonical(name) in [canonical(image) for image in request.images]:
                yield images_pb2.ImageLayers(id=self.config_of(root), names=[name], root=root, layers=[base])

    async def Tag(self, request: Any, context: Any) -> images_pb2.TagReply:
        root = self.host.images.get(canonical(request.source))
        if root is None:
            await fail(context, "NOT_FOUND", f"no image {request.source}")
        self.host.images[canonical(request.target)] = root
        return images_pb2.TagReply()

    async def Remove(self, request: Any, context: Any) -> images_pb2.RemoveImageReply:
        root = self.host.images.pop(canonical(request.image), None)
        if root is None:
            await fail(context, "NOT_FOUND", f"no image {request.image}")
        removed = [images_pb2.RemovedImage(untagged=request.image), images_pb2.RemovedImage(deleted=root)]
        return images_pb2.RemoveImageReply(removed=removed)

    async def Prune(self, request: Any, context: Any) -> images_pb2.PruneImagesReply:
        if list(request.filters) == ["until=1h"]:
            return images_pb2.PruneImagesReply()
        untagged = [images_pb2.RemovedImage(untagged="app:1")] if request.all else []
        deleted = images_pb2.RemovedImage(deleted="sha256:1")
        return images_pb2.PruneImagesReply(removed=[*untagged, deleted], reclaimed=1234567)

    async def Save(self, request: Any, context: Any) -> AsyncIterator[images_pb2.SaveReply]:
        for image in request.images:
            if canonical(image) not in self.host.images:
                await fail(context, "NOT_FOUND", f"no image {image}")
        for piece in (request.format, request.compression, *request.images):
            yield images_pb2.SaveReply(data=f"{piece}\n".encode())

    async def Commit(self, request: Any, context: Any) -> images_pb2.CommitReply:
        return images_pb2.CommitReply(image_id="sha256:" + "c" * 64)


class _Fetch:
    """Asks for what is missing, several ranges at a time, and checks what comes."""

    def __init__(self, host: FakeHost, requests: Any, context: Any) -> None:
        self.host, self.requests, self.context = host, requests, context
        self.number = self.sent = self.spared = 0

    async def image(self, root: str, size: int) -> AsyncIterator[images_pb2.FetchReply]:
        waiting, seen = deque([(root, size)]), set()
        while waiting:
            digest, size = waiting.popleft()
            if digest in seen:
                continue
            seen.add(digest)
            if digest in self.host.blobs:
                self.spared += size
                yield self.progress(digest, images_pb2.FetchProgress.PRESENT, size, size)
            else:
                async for reply in self.blob(digest, size):
                    yield reply
            if self.host.blobs[digest][:1] == b"{":
                document = self.host.document(digest)
                below = [*document.get("manifests", ()), *document.get("layers", ())]
                below += [document["config"]] if "layers" in document else []
                waiting.extend((item["digest"], item["size"]) for item in below)

    async def blob(self, digest: str, size: int) -> AsyncIterator[images_pb2.FetchReply]:
        offsets = deque(range(0, size, PIECE))
        parts: dict[int, bytearray] = {}
        places: dict[int, int] = {}
        opened = 0
        while offsets or opened:
            while offsets and opened < RANGES_OPEN:
                offset = offsets.popleft()
                self.number += 1
                parts[offset], places[self.number] = bytearray(), offset
                opened += 1
                length = min(PIECE, size - offset)
                wanted = images_pb2.RangeWanted(request=self.number, digest=digest, offset=offset, length=length)
                yield images_pb2.FetchReply(wanted=wanted)
            request = await anext(aiter(self.requests))
            if request.WhichOneof("request") == "failed":
                await fail(self.context, "SOURCE_FAILED", request.failed.message)
            offset = places[request.data.request]
            parts[offset] += request.data.data
            if len(parts[offset]) >= min(PIECE, size - offset):
                opened -= 1
            current = sum(map(len, parts.values()))
            yield self.progress(digest, images_pb2.FetchProgress.RECEIVING, current, size)
        data = b"".join(bytes(parts[offset]) for offset in sorted(parts))
        if f"sha256:{hashlib.sha256(data).hexdigest()}" != digest:
            await fail(self.context, "DIGEST_MISMATCH", f"{digest} came wrong")
        self.host.blobs[digest] = data
        self.sent += size
        yield self.progress(digest, images_pb2.FetchProgress.RECEIVED, size, size)

    def progress(self, digest: str, phase: Any, current: int, total: int) -> images_pb2.FetchReply:
        progress = images_pb2.FetchProgress(digest=digest, phase=phase, current=current, total=total)
        return images_pb2.FetchReply(progress=progress)


class FakeContainers(containers_pb2_grpc.ContainersServicer):
    def __init__(self, host: FakeHost) -> None:
        self.host = host

    async def find(self, name: str, context: Any) -> FakeContainer:
        for known, container in self.host.containers.items():
            if known == name or container.id.startswith(name):
                return container
        return await fail(context, "NOT_FOUND", f"no container {name}")

    async def Create(self, request: Any, context: Any) -> containers_pb2.CreateContainerReply:
        if canonical(request.image) not in self.host.images:
            await fail(context, "NOT_FOUND", f"no image {request.image} on this host")
        if request.secrets:  # none is ever there
            await fail(context, "NOT_FOUND", f"secret {request.secrets[0].source} not found")
        name = request.name or f"brave_{len(self.host.containers)}"
        if name in self.host.containers and not request.replace:
            await fail(context, "NAME_TAKEN", f"the name {name} is taken", "use --replace, or another name")
        identifier = hashlib.sha256(f"{self.host.name}/{name}".encode()).hexdigest()
        self.host.containers[name] = FakeContainer(identifier, request)
        warnings = ["privileged is dangerous"] if request.privileged else []
        return containers_pb2.CreateContainerReply(id=identifier, warnings=warnings)

    async def Export(self, request: Any, context: Any) -> AsyncIterator[containers_pb2.ExportContainerReply]:
        await self.find(request.container, context)
        for piece in ("the tar of ", request.container, "\n"):
            yield containers_pb2.ExportContainerReply(data=piece.encode())

    async def Start(self, request: Any, context: Any) -> containers_pb2.StartContainerReply:
        container = await self.find(request.container, context)
        command = list(container.request.command)
        if command[:1] == ["missing"]:
            await fail(context, "COMMAND_NOT_FOUND", "missing: not found in the image")
        if command[:1] == ["noexec"]:
            await fail(context, "COMMAND_NOT_EXECUTABLE", "noexec: permission denied")
        container.state = "running"
        container.started.set()
        return containers_pb2.StartContainerReply(id=container.id)

    async def Stop(self, request: Any, context: Any) -> containers_pb2.StopContainerReply:
        container = await self.find(request.container, context)
        container.state, container.exit_code = "exited", 143
        container.signal.put_nowait("SIGTERM")
        return containers_pb2.StopContainerReply(id=container.id)

    async def Kill(self, request: Any, context: Any) -> containers_pb2.KillContainerReply:
        container = await self.find(request.container, context)
        container.signal.put_nowait(request.signal)
        return containers_pb2.KillContainerReply(id=container.id)

    async def Pause(self, request: Any, context: Any) -> containers_pb2.PauseContainerReply:
        (await self.find(request.container, context)).state = "paused"
        return containers_pb2.PauseContainerReply()

    async def Unpause(self, request: Any, context: Any) -> containers_pb2.UnpauseContainerReply:
        (await self.find(request.container, context)).state = "running"
        return containers_pb2.UnpauseContainerReply()

    async def Restart(self, request: Any, context: Any) -> containers_pb2.RestartContainerReply:
        container = await self.find(request.container, context)
        container.state = "running"
        return containers_pb2.RestartContainerReply(id=container.id)

    async def Rename(self, request: Any, context: Any) -> containers_pb2.RenameContainerReply:
        container = await self.find(request.container, context)
        self.host.containers = {n: c for n, c in self.host.containers.items() if c is not container}
        self.host.containers[request.name] = container
        return containers_pb2.RenameContainerReply()

    async def Remove(self, request: Any, context: Any) -> containers_pb2.RemoveContainerReply:
        container = await self.find(request.container, context)
        if container.state == "running" and not request.force:
            await fail(context, "WRONG_STATE", f"{request.container} is running", "stop it, or use -f")
        self.host.containers = {n: c for n, c in self.host.containers.items() if c is not container}
        return containers_pb2.RemoveContainerReply(id=container.id)

    async def List(self, request: Any, context: Any) -> containers_pb2.ListContainersReply:
        items = []
        for name, container in self.host.containers.items():
            if container.state not in ("running", "paused") and not request.all:
                continue
            items.append(
                containers_pb2.ContainerSummary(
                    id=container.id,
                    name=name,
                    image=container.request.image,
                    command=container.request.command or ["sh"],
                    created=CREATED,
                    started=CREATED,
                    finished=CREATED,
                    state=container.state,
                    exit_code=container.exit_code,
                    ports=container.request.ports,
                    labels=container.request.labels,
                    networks=["bridge"],
                    size_rw=4096 if request.size else 0,
                    size_root=5_004_096 if request.size else 0,
                )
            )
        return containers_pb2.ListContainersReply(containers=items)

    async def Inspect(self, request: Any, context: Any) -> containers_pb2.InspectContainerReply:
        container = await self.find(request.container, context)
        asked = container.request
        document = {
            "Id": container.id,
            "State": {"Status": container.state, "Running": container.state == "running"},
            "Config": {"Env": list(asked.env), "Cmd": list(asked.command), "Labels": dict(asked.labels)},
        }
        return containers_pb2.InspectContainerReply(document=json.dumps(document))

    async def Wait(self, request: Any, context: Any) -> containers_pb2.WaitContainerReply:
        container = await self.find(request.container, context)
        return containers_pb2.WaitContainerReply(exit_code=container.exit_code)

    async def Logs(self, request: Any, context: Any) -> AsyncIterator[containers_pb2.LogsReply]:
        await self.find(request.container, context)
        entries = [
            containers_pb2.LogEntry(time_ns=CREATED * 10**9 + 5, text=b"one\n"),
            containers_pb2.LogEntry(time_ns=CREATED * 10**9 + 6, text=b"oops\n", stderr=True),
            containers_pb2.LogEntry(time_ns=CREATED * 10**9 + 7, text=f"from {self.host.name}\n".encode()),
        ]
        if request.HasField("tail"):
            entries = entries[len(entries) - min(request.tail, len(entries)) :]
        yield containers_pb2.LogsReply(entries=entries[:2])
        yield containers_pb2.LogsReply(entries=entries[2:])

    async def Attach(self, requests: Any, context: Any) -> AsyncIterator[containers_pb2.StreamOutput]:
        start = (await anext(aiter(requests))).attach
        container = await self.find(start.container, context)
        ready = containers_pb2.StreamReady(id=container.id, tty=container.request.tty)
        yield containers_pb2.StreamOutput(ready=ready)
        await container.started.wait()
        async for output in self.process(list(container.request.command), requests):
            if output.HasField("exit_code"):
                container.state, container.exit_code = "exited", output.exit_code
                if container.request.auto_remove:
                    self.host.containers = {n: c for n, c in self.host.containers.items() if c is not container}
            yield output

    async def Exec(self, requests: Any, context: Any) -> AsyncIterator[containers_pb2.StreamOutput]:
        start = (await anext(aiter(requests))).exec
        await self.find(start.container, context)
        if start.command[:1] == ["missing"]:
            await fail(context, "COMMAND_NOT_FOUND", "missing: not found in the container")
        yield containers_pb2.StreamOutput(ready=containers_pb2.StreamReady(id="e" * 64, tty=start.tty))
        if not start.detach:
            async for output in self.process(list(start.command), requests):
                yield output

    async def process(self, command: list[str], requests: Any) -> AsyncIterator[containers_pb2.StreamOutput]:
        """``echo hostname exit err big cat size``; ``signal`` tells the first that comes and ends with 3."""
        output = containers_pb2.StreamOutput
        name, args = (command or ["true"])[0], command[1:]
        code = 0
        if name == "echo":
            yield output(stdout=(" ".join(args) + "\n").encode())
        elif name == "hostname":
            yield output(stdout=f"{self.host.name}\n".encode())
        elif name == "err":
            yield output(stderr=f"{args[0]}\n".encode())
        elif name == "big":
            for _ in range(int(args[0]) // 65536):
                yield output(stdout=b"x" * 65535 + b"\n")
        elif name == "exit":
            code = int(args[0])
        elif name in ("cat", "signal", "size"):
            if name == "signal":
                yield output(stdout=b"waiting\n")
            async for request in requests:
                kind = request.WhichOneof("input")
                if name == "cat" and kind == "stdin":
                    yield output(stdout=request.stdin)
                elif name == "cat" and kind == "stdin_closed":
                    break
                elif name == "signal" and kind == "signal":
                    yield output(stdout=f"got {request.signal}\n".encode())
                    code = 3
                    break
                elif name == "size" and kind == "resize":
                    yield output(stdout=f"{request.resize.height}x{request.resize.width}\r\n".encode())
                elif name == "size" and kind == "stdin":
                    break
            else:
                await asyncio.Event().wait()  # whoever was attached has left; the process goes on
        yield output(exit_code=code)


class FakeVolumes(volumes_pb2_grpc.VolumesServicer):
    def __init__(self, host: FakeHost) -> None:
        self.host = host

    async def Create(self, request: Any, context: Any) -> volumes_pb2.VolumeReply:
        volume = volumes_pb2.Volume(
            name=request.name or "a" * 64, mountpoint=f"/volumes/{request.name}", created=CREATED, labels=request.labels
        )
        self.host.volumes[volume.name] = volume
        return volumes_pb2.VolumeReply(volume=volume)

    async def List(self, request: Any, context: Any) -> volumes_pb2.ListVolumesReply:
        return volumes_pb2.ListVolumesReply(volumes=self.host.volumes.values())

    async def Inspect(self, request: Any, context: Any) -> volumes_pb2.VolumeReply:
        if request.name not in self.host.volumes:
            await fail(context, "NOT_FOUND", f"no volume {request.name}")
        return volumes_pb2.VolumeReply(volume=self.host.volumes[request.name])

    async def Remove(self, request: Any, context: Any) -> volumes_pb2.RemoveVolumeReply:
        if self.host.volumes.pop(request.name, None) is None and not request.force:
            await fail(context, "NOT_FOUND", f"no volume {request.name}")
        return volumes_pb2.RemoveVolumeReply()

    async def Prune(self, request: Any, context: Any) -> volumes_pb2.PruneVolumesReply:
        return volumes_pb2.PruneVolumesReply(removed=["a" * 64], reclaimed=5_000_000)


class FakeSecrets(secrets_pb2_grpc.SecretsServicer):
    def __init__(self) -> None:
        self.kept: dict[str, secrets_pb2.Secret] = {}

    async def Create(self, request: Any, context: Any) -> secrets_pb2.SecretReply:
        if request.name in self.kept and not request.replace:
            await fail(context, "NAME_TAKEN", f"a secret {request.name} exists already")
        labels = {**request.labels, "bytes": str(len(request.value))}
        secret = secrets_pb2.Secret(id="5" * 25, name=request.name, created=CREATED, updated=CREATED, labels=labels)
        self.kept[request.name] = secret
        return secrets_pb2.SecretReply(secret=secret)

    async def List(self, request: Any, context: Any) -> secrets_pb2.ListSecretsReply:
        return secrets_pb2.ListSecretsReply(secrets=self.kept.values())

    async def Inspect(self, request: Any, context: Any) -> secrets_pb2.SecretReply:
        if request.secret not in self.kept:
            await fail(context, "NOT_FOUND", f"secret {request.secret} not found")
        return secrets_pb2.SecretReply(secret=self.kept[request.secret])

    async def Remove(self, request: Any, context: Any) -> secrets_pb2.RemoveSecretReply:
        if self.kept.pop(request.secret, None) is None and not request.force:
            await fail(context, "NOT_FOUND", f"secret {request.secret} not found")
        return secrets_pb2.RemoveSecretReply()


class FakeNetworks(networks_pb2_grpc.NetworksServicer):
    async def List(self, request: Any, context: Any) -> networks_pb2.ListNetworksReply:
        network = networks_pb2.NetworkSummary(
            id="b" * 64, name="bridge", driver="bridge", subnet="172.31.0.0/16", gateway="172.31.0.1", created=CREATED
        )
        return networks_pb2.ListNetworksReply(networks=[network])

    async def Inspect(self, request: Any, context: Any) -> networks_pb2.InspectNetworkReply:
        if request.network != "bridge":
            await fail(context, "NOT_FOUND", f"no network {request.network}")
        return networks_pb2.InspectNetworkReply(document=json.dumps({"Name": request.network, "Id": "b" * 64}))


def server_of(host: FakeHost) -> grpc.aio.Server:
    """A server with every service of the host."""
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", 16 << 20)])
    system_pb2_grpc.add_SystemServicer_to_server(FakeSystem(host), server)
    content_pb2_grpc.add_ContentServicer_to_server(FakeContent(host), server)
    images_pb2_grpc.add_ImagesServicer_to_server(FakeImages(host), server)
    containers_pb2_grpc.add_ContainersServicer_to_server(FakeContainers(host), server)
    volumes_pb2_grpc.add_VolumesServicer_to_server(FakeVolumes(host), server)
    secrets_pb2_grpc.add_SecretsServicer_to_server(FakeSecrets(), server)
    networks_pb2_grpc.add_NetworksServicer_to_server(FakeNetworks(), server)
    return server


async def serve(names: list[str]) -> None:
    """For every folder that standard input names, new agents there; ``ready`` is said when they listen."""
    servers: list[grpc.aio.Server] = []
    while line := await asyncio.to_thread(sys.stdin.readline):
        await asyncio.gather(*(server.stop(0) for server in servers))
        servers = [server_of(FakeHost(name)) for name in names]
        for name, server in zip(names, servers, strict=True):
            server.add_insecure_port(f"unix:{Path(line.strip()) / name}.sock")
            await server.start()
        print("ready", flush=True)
    await asyncio.gather(*(server.stop(0) for server in servers))


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1:]))
