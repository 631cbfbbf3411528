"""Where a container has its secrets, and that nothing but its start has their values."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jackstay_agent.containers import secret_uses, spec
from jackstay_agent.containers.layout import Layout
from jackstay_agent.containers.process import merge
from jackstay_agent.containers.settings import SecretUse
from jackstay_agent.errors import InvalidArgument
from jackstay_agent.kernel.id_maps import IdRange
from jackstay_agent.rpc.container_messages import parse_settings
from jackstay_proto.v1 import containers_pb2 as pb
from tests.unit.agent.containers.container_values import context, image, settings


def test_from_a_request() -> None:
    parsed = parse_settings(
        pb.CreateContainerRequest(
            secrets=[
                pb.SecretUse(source="key"),
                pb.SecretUse(source="key", type="env", target="KEY"),
                pb.SecretUse(source="key", target="/etc/key", uid=1, gid=2, mode=0),
            ]
        )
    )
    assert parsed.secrets == (
        SecretUse(source="key", type="mount", mode=0o444),
        SecretUse(source="key", type="env", target="KEY"),
        SecretUse(source="key", target="/etc/key", uid=1, gid=2, mode=0),
    )


def test_targets() -> None:
    uses = (
        SecretUse(source="key"),
        SecretUse(source="key", target="sub/../other"),
        SecretUse(source="key", target="/etc//key"),
        SecretUse(source="key", type="env"),
        SecretUse(source="key", type="env", target="KEY"),
    )
    targets = [use.target for use in secret_uses.checked(settings(secrets=uses))]
    assert targets == ["/run/secrets/key", "/run/secrets/other", "/etc/key", "key", "KEY"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([{"type": "file"}], "invalid type 'file'"),
        ([{"target": "../x"}], "leads out of /run/secrets"),
        ([{"target": "."}], "leads out of /run/secrets"),
        ([{"mode": 0o1777}], "invalid mode 1777"),
        ([{"uid": 1 << 31}], "user or group"),
        ([{"type": "env", "target": "A=B"}], "cannot be a variable's name"),
        ([{}, {"target": "/run/secrets/key"}], "two secrets at /run/secrets/key"),
        ([{"type": "env"}, {"type": "env"}], "two secrets at key"),
    ],
)
def test_refused(given: list[dict[str, Any]], told: str) -> None:
    with pytest.raises(InvalidArgument, match=told):
        secret_uses.checked(settings(secrets=tuple(SecretUse(source="key", **each) for each in given)))


def test_an_owner_that_a_user_namespace_has_not() -> None:
    use = SecretUse(source="key", gid=4096)
    secret_uses.checked(settings(secrets=(use,), userns="auto:size=4097"))
    with pytest.raises(InvalidArgument, match="user or group"):
        secret_uses.checked(settings(secrets=(use,), userns="auto:size=4096"))


def test_a_mount_at_the_same_place_is_refused() -> None:
    asked = settings(tmpfs=("/run/secrets/key",), secrets=(SecretUse(source="key"),))
    mounts = secret_uses.rehearsed(secret_uses.checked(asked))
    with pytest.raises(InvalidArgument, match="Duplicate mount point: /run/secrets/key"):
        spec.build(asked, merge(asked, image(cmd=("sh",))), context(mounts=mounts))


class Values:
    """Stands in for the service; "key" is no text."""

    async def value(self, name: str) -> bytes:
        return b"\xff\x00" if name == "key" else f"value of {name}".encode()


def engine(folder: Path) -> Any:
    return SimpleNamespace(secrets=Values(), layout=Layout(state=str(folder), run=str(folder)))


async def test_what_a_start_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owners: list[tuple[int, int]] = []
    monkeypatch.setattr("os.fchown", lambda _file, uid, gid: owners.append((uid, gid)))
    asked = settings(
        env=("WORD=plain", "A=1"),
        secrets=(
            SecretUse(source="key", target="/k", uid=5, gid=6, mode=0o400),
            SecretUse(source="word"),
            SecretUse(source="word", type="env", target="WORD"),
        ),
    )
    asked = settings(env=asked.env, secrets=secret_uses.checked(asked))
    given = await secret_uses.give(engine(tmp_path), "c1", asked, IdRange(100000, 65536))
    assert owners == [(100005, 100006), (100000, 100000)]
    assert [(mount.target, mount.read_only, mount.as_is) for mount in given.mounts] == [
        ("/k", True, True),
        ("/run/secrets/word", True, True),
    ]
    first, second = (Path(mount.source) for mount in given.mounts)
    assert (first.read_bytes(), second.read_bytes()) == (b"\xff\x00", b"value of word")
    modes = [stat.S_IMODE(os.stat(path).st_mode) for path in (first.parent, first, second)]
    assert modes == [0o700, 0o400, 0o444]
    assert first.parent.parent == tmp_path / "containers" / "c1"

    plan = merge(asked, image(cmd=("sh",)))
    surroundings = context(mounts=given.mounts, env=given.env)
    built = spec.build(asked, plan, surroundings)
    assert [text for text in built["process"]["env"] if text.startswith(("WORD", "A="))] == [
        "WORD=value of word",
        "A=1",
    ]
    for text in (repr(given), repr(surroundings), repr(plan), repr(asked)):
        assert "value of" not in text
    assert plan.config_env == ("WORD=plain", "A=1")


async def test_a_variable_is_text_and_the_error_tells_none_of_it(tmp_path: Path) -> None:
    uses = (SecretUse(source="key", type="env", target="KEY"),)
    for doing in (
        secret_uses.check_values(engine(tmp_path), uses),
        secret_uses.give(engine(tmp_path), "c1", settings(secrets=uses), None),
    ):
        with pytest.raises(InvalidArgument, match="secret key is no text") as caught:
            await doing
        assert (caught.value.__cause__, caught.value.__context__) == (None, None)
