"""Which hosts a set means."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackstay.errors import UsageError
from jackstay.inventory import Host, Inventory, write_last_failed
from jackstay.inventory.hosts_file import parse_hosts_file

TEXT = """
[defaults]
user = "root"
[hosts.web1]
address = "192.0.2.1"
[hosts.web2]
[hosts.web3]
[hosts.db1]
port = 2222
[groups]
web = "web[1-3]"
all = ["@web", "db1"]
"""


@pytest.fixture
def inventory(tmp_path: Path) -> Inventory:
    content = parse_hosts_file(TEXT, tmp_path / "hosts.toml")
    return Inventory(content.hosts, content.groups, tmp_path / "hosts.toml", ssh_config=tmp_path / "config")


@pytest.mark.parametrize(
    ("sets", "names"),
    [
        ("web1", "web1"),
        ("web[1-3/2]", "web1 web3"),
        ("@web!web2", "web1 web3"),
        ("@all&@web", "web1 web2 web3"),
        ("@web^web1,db1", "db1 web2 web3"),
        ("@*", "db1 web1 web2 web3"),
        ("@all", "db1 web1 web2 web3"),
        ("web*", "web1 web2 web3"),
        ("local", "local"),
        ("deploy@far[1-2]:22", "deploy@far1:22 deploy@far2:22"),
        ("u@[2001:db8::1]:22,web1", "u@[2001:db8::1]:22 web1"),
        ("far:22!far:22,web2", "web2"),
        ("10.0.0.[1-2]", "10.0.0.1 10.0.0.2"),
        ("other.example.com", "other.example.com"),
    ],
)
def test_sets(inventory: Inventory, sets: str, names: str) -> None:
    assert [host.name for host in inventory.select([sets])] == names.split()


def test_several_sets_keep_their_order_and_each_host_comes_once(inventory: Inventory) -> None:
    assert [h.name for h in inventory.select(["web2", "@web", "db1"])] == ["web2", "web1", "web3", "db1"]


def test_exclude_and_limit(inventory: Inventory, tmp_path: Path) -> None:
    failed = tmp_path / "last-failed"
    write_last_failed(failed, ["web3", "u@far:22", "db1"])
    assert [h.name for h in inventory.select(["@web"], ["web[1-2]"])] == ["web3"]
    assert [h.name for h in inventory.select(["@*"], ["db1"], ["@last-failed"], last_failed=failed)] == ["web3"]
    assert [h.name for h in inventory.select(["@last-failed"], last_failed=failed)] == ["web3", "u@far:22", "db1"]
    write_last_failed(failed, [])
    with pytest.raises(UsageError, match="no host is left"):
        inventory.select(["@*"], limit=["@last-failed"], last_failed=failed)


def test_who_failed_is_written_only_when_it_is_somebody_else(tmp_path: Path) -> None:
    failed = tmp_path / "last-failed"
    write_last_failed(failed, [])
    assert not failed.exists()
    write_last_failed(failed, ["web1"])
    before = failed.stat().st_ino
    write_last_failed(failed, iter(["web1"]))
    assert failed.stat().st_ino == before
    write_last_failed(failed, [])
    assert failed.read_text() == ""


@pytest.mark.parametrize(
    ("sets", "message", "hint"),
    [
        ("web9", "no host web9", "did you mean web"),
        ("loca", "no host loca", "did you mean local"),
        ("@we", "no group @we", "did you mean @web"),
        ("@zzz", "no group @zzz", "@web, @all"),
        ("@x:web", "not a host set", ""),
        ("2001:db8::1", "needs brackets", "'[2001:db8::1]'"),
        ("u@2001:db8::1", "needs brackets", "'u@[2001:db8::1]'"),
        ("u@[2001:zz::1]", "not an IPv6 address", ""),
        ("web[1-", "not a host set", ""),
        ("web1,,web2", "not a host set", ""),
        ("u@", "not a host", ""),
        ("far:99999", "not a port", ""),
        ("-oProxyCommand=x", "not a host name", ""),
        ("u@-oProxyCommand", "not a host", ""),
        ("-x@far", "not a user name", ""),
        ("a b", "not a host name", ""),
        ("", "no host is left", ""),
    ],
)
def test_what_is_refused(inventory: Inventory, sets: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        inventory.select([sets])
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_name_of_ssh_config_is_accepted_though_it_is_near_another(inventory: Inventory, tmp_path: Path) -> None:
    (tmp_path / "config").write_text(f"Include {tmp_path}/more\nHost *.x !web9 web?\n User u\n")
    (tmp_path / "more").write_text('# c\nhost = "web9" alias\n')
    assert inventory.select(["web9"]) == [Host(name="web9", address="web9")]
    with pytest.raises(UsageError):
        inventory.select(["web8"])


def test_an_address_overlays_the_inventorys_host(inventory: Inventory) -> None:
    [host] = inventory.select(["deploy@web1:99"])
    assert (host.name, host.address, host.user, host.port) == ("deploy@web1:99", "192.0.2.1", "deploy", 99)
    [host] = inventory.select(["db1:99"])
    assert (host.user, host.port) == ("root", 99)


def test_local_takes_its_socket_from_the_environment(inventory: Inventory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JACKSTAY_SOCKET", "/tmp/other.sock")
    [host] = inventory.select(["local"])
    assert (host.kind, host.socket) == ("local", "/tmp/other.sock")


@given(st.text(alphabet="web123@[]-,!&^/:.*?% lu\\\"'\0é", max_size=24))
def test_no_set_does_anything_but_name_hosts_or_raise_a_usage_error(text: str) -> None:
    content = parse_hosts_file(TEXT, Path("hosts.toml"))
    inventory = Inventory(content.hosts, content.groups, ssh_config=Path("/nonexistent"))
    try:
        hosts = inventory.select([text])
    except UsageError:
        return
    names = [host.name for host in hosts]
    assert len(set(names)) == len(names) > 0
    assert not any(name.startswith("-") or "\0" in name or " " in name for name in names)


@given(st.sets(st.integers(1, 40), min_size=1), st.sets(st.integers(1, 40)))
def test_difference_is_the_sets_difference(some: set[int], others: set[int]) -> None:
    inventory = Inventory({f"n{i}": Host(f"n{i}", f"n{i}") for i in range(1, 41)}, ssh_config=Path("/nonexistent"))
    text = "n[" + ",".join(map(str, sorted(some))) + "]"
    exclude = ["n[" + ",".join(map(str, sorted(others))) + "]"] if others else []
    if some - others:
        assert {h.name for h in inventory.select([text], exclude)} == {f"n{i}" for i in some - others}
    else:
        with pytest.raises(UsageError):
            inventory.select([text], exclude)
