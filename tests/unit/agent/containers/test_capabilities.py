from __future__ import annotations

import pytest

from jackstay_agent.containers import capabilities
from jackstay_agent.errors import InvalidArgument, Unsupported

EVERY = frozenset(capabilities.ALL)


def effective(
    add: str = "", drop: str = "", *, privileged: bool = False, available: frozenset[str] = EVERY
) -> set[str]:
    return set(capabilities.effective(add.split(), drop.split(), privileged=privileged, available=available))


def test_numbers_are_the_kernels() -> None:
    assert capabilities.ALL.index("CAP_SYS_ADMIN") == 21
    assert capabilities.ALL.index("CAP_CHECKPOINT_RESTORE") == 40
    assert capabilities.from_mask(1 << 21 | 1 << 63) == {"CAP_SYS_ADMIN"}
    # The mask that docker shows for its default set.
    assert capabilities.from_mask(0xA80425FB) == set(capabilities.DEFAULT)


def test_default_add_drop_and_all() -> None:
    assert effective() == set(capabilities.DEFAULT)
    assert effective("net_admin CAP_SYS_TIME", "mknod") == (
        set(capabilities.DEFAULT) - {"CAP_MKNOD"} | {"CAP_NET_ADMIN", "CAP_SYS_TIME"}
    )
    assert effective("", "all") == set()
    assert effective("chown", "ALL") == {"CAP_CHOWN"}
    assert effective("ALL", "SYS_ADMIN") == EVERY - {"CAP_SYS_ADMIN"}
    assert effective("", "ALL", privileged=True) == EVERY


def test_what_the_host_lacks() -> None:
    host = EVERY - {"CAP_BPF", "CAP_AUDIT_WRITE"}
    assert effective(available=host) == set(capabilities.DEFAULT) - {"CAP_AUDIT_WRITE"}
    assert effective(privileged=True, available=host) == host
    assert effective("ALL", available=host) == host
    with pytest.raises(Unsupported, match="CAP_BPF"):
        effective("bpf", available=host)


@pytest.mark.parametrize("name", ["nonsense", "", "CAP_", "CAP_ALL_"])
def test_unknown_names(name: str) -> None:
    with pytest.raises(InvalidArgument, match="unknown capability"):
        capabilities.effective([name], [], privileged=False, available=EVERY)
    with pytest.raises(InvalidArgument, match="unknown capability"):
        capabilities.effective([], [name], privileged=True, available=EVERY)
