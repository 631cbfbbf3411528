"""The config and the manifest of an image that is committed from a container. Pure.

Guarantees: what the parent's config says and this code does not know is kept; what would be false of the new image is
dropped. The container's own settings go into the image, as with docker.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import structs

from jackstay_agent.containers.process import DEFAULT_STOP_SIGNAL, ProcessPlan
from jackstay_agent.errors import InvalidDocument, LimitExceeded
from jackstay_agent.images.document_times import render
from jackstay_oci import media_types
from jackstay_oci.changes import instructions
from jackstay_oci.digest import Digest
from jackstay_oci.documents import MAX_DOCUMENT, Descriptor, Manifest, encode
from jackstay_oci.image_config import ContainerConfig, Healthcheck, History

_OF_THE_PARENT = ("container", "container_config", "docker_version", "id", "parent", "parent_id", "throwaway")
"""What docker's builders wrote about how the parent was made."""


def run_config(parent: ContainerConfig, plan: ProcessPlan) -> ContainerConfig:
    """What containers of the new image start with: as the container did, but for what belongs to one host."""
    default_signal = not parent.stop_signal and plan.stop_signal == DEFAULT_STOP_SIGNAL
    return structs.replace(
        parent,
        env=plan.config_env,
        cmd=plan.command,
        entrypoint=plan.entrypoint,
        user=plan.user,
        working_dir="" if plan.cwd == "/" and not parent.working_dir else plan.cwd,
        labels=dict(plan.labels),
        exposed_ports={f"{port}/{protocol}": {} for port, protocol in plan.exposed_ports},
        stop_signal="" if default_signal else plan.stop_signal,
        healthcheck=plan.healthcheck,
    )


def changed(run: ContainerConfig, changes: Sequence[str]) -> ContainerConfig:
    """*run* after the Dockerfile instructions *changes*; what they leave empty is the container's still.

    As moby's ``merge`` (daemon/commit.go) has it: an empty command comes back unless there is an entrypoint, and a
    healthcheck's numbers stay where the new one says nothing.

    Raises:
        InvalidArgument: see `instructions.apply`.
    """
    new = instructions.apply(run, changes)
    if not new.entrypoint:
        new = structs.replace(new, entrypoint=run.entrypoint, cmd=new.cmd or run.cmd)
    health = new.healthcheck
    if health is not None and run.healthcheck is not None:
        own = {name: getattr(health, name) or getattr(run.healthcheck, name) for name in health.__struct_fields__}
        new = structs.replace(new, healthcheck=Healthcheck(**own))
    return structs.replace(new, user=new.user or run.user)


def encode_config(
    parent: bytes,
    run: ContainerConfig,
    plan: ProcessPlan,
    *,
    created: int,
    author: str,
    message: str,
    layer: Descriptor | None,
) -> bytes:
    """The bytes of the config: the *parent*'s with *run*, one step of history more, and *layer* unless it is None.

    Raises:
        InvalidDocument: the parent's is no JSON object.
        LimitExceeded: it is larger than a config may be.
    """
    document = _decode(parent)
    for key in _OF_THE_PARENT:
        document.pop(key, None)
    document["created"] = render(created)
    document["author"] = author
    if not author:
        del document["author"]
    own = document.get("config")
    own = own if isinstance(own, dict) else {}
    known = {item.encode_name for item in structs.fields(ContainerConfig)}
    document["config"] = {key: value for key, value in own.items() if key not in known} | _decode(encode(run))
    step = History(
        created=render(created),
        created_by=" ".join(plan.command or plan.args),
        author=author,
        comment=message,
        empty_layer=layer is None,
    )
    document["history"] = [*(document.get("history") or []), _decode(encode(step))]
    rootfs = document.get("rootfs")
    diff_ids = list((rootfs.get("diff_ids") if isinstance(rootfs, dict) else None) or [])
    if layer is not None:
        diff_ids.append(str(layer.digest))
    document["rootfs"] = {"type": "layers", "diff_ids": diff_ids}
    return _bounded(msgspec.json.encode(document), "config")


def encode_manifest(parent: Manifest, config: Digest, config_size: int, layer: Descriptor | None) -> bytes:
    """The bytes of the manifest: the *parent*'s layers as they are stored, and *layer* unless it is None.

    Raises:
        LimitExceeded: it is larger than a manifest may be.
    """
    manifest = Manifest(
        media_type=media_types.OCI_MANIFEST,
        config=Descriptor(media_type=media_types.OCI_CONFIG, digest=config, size=config_size),
        layers=(*(_as_oci(blob) for blob in parent.layers), *([layer] if layer is not None else [])),
    )
    return _bounded(encode(manifest), "manifest")


def _as_oci(blob: Descriptor) -> Descriptor:
    """The same blob under the OCI's name for its type: a manifest has either names, not both."""
    if not media_types.is_layer(blob.media_type):
        return blob
    foreign = media_types.uncompressed(blob.media_type) in (
        media_types.OCI_FOREIGN_LAYER,
        media_types.DOCKER_FOREIGN_LAYER,
    )
    base = media_types.OCI_FOREIGN_LAYER if foreign else media_types.OCI_LAYER
    compression = media_types.layer_compression(blob.media_type)
    return structs.replace(blob, media_type=base if compression == "none" else f"{base}+{compression}")


def _decode(raw: bytes) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise InvalidDocument(f"the image config is malformed: {error}") from error
    if not isinstance(document, dict):
        raise InvalidDocument("the image config is not a JSON object")
    return document


def _bounded(raw: bytes, what: str) -> bytes:
    if len(raw) > MAX_DOCUMENT:
        raise LimitExceeded(f"the {what} would have {len(raw)} bytes, the bound is {MAX_DOCUMENT}")
    return raw
