"""Reading and editing hosts.toml."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackstay.errors import UsageError
from jackstay.inventory import Host, Inventory
from jackstay.inventory.edit import add_host, remove_host
from jackstay.inventory.hosts_file import parse_hosts_file, toml_host

PATH = Path("/etc/fleet/hosts.toml")


def test_everything_that_a_host_may_say() -> None:
    content = parse_hosts_file(
        """
        [defaults]
        user = "root"
        port = 22
        identity = "keys/default"
        [hosts.web1]
        address = "192.0.2.1"
        port = 2222
        user = "deploy"
        identity = ["/k/a", "b"]
        known_hosts = "known"
        socket = "/run/other.sock"
        jump = "u@bastion:2200"
        sudo = true
        [hosts.web2]
        [groups]
        web = ["web1", "web2"]
        """,
        PATH,
    )
    assert content.hosts["web1"] == Host(
        name="web1",
        address="192.0.2.1",
        port=2222,
        user="deploy",
        identity_files=("/k/a", "/etc/fleet/b"),
        known_hosts=("/etc/fleet/known",),
        socket="/run/other.sock",
        jump="u@bastion:2200",
        sudo=True,
    )
    assert content.hosts["web2"] == Host(
        name="web2", address="web2", port=22, user="root", identity_files=("/etc/fleet/keys/default",)
    )
    assert content.groups == {"web": "web1,web2"}


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("[hosts.web1]\nport = yes\n", 2, "Invalid value"),
        ("[hosts.web1]\nport = 'x", 2, ""),
        ("\n[hosts.web1]\n# c\nport = 99999\n", 4, "port in [hosts.web1] must be a number"),
        ("[hosts.web1]\nport = true\n", 2, "must be a number"),
        ("[hosts.web1]\nadress = 'x'\n", 2, "unknown key 'adress'"),
        ("[hosts.web1]\naddress = '-oX'\n", 2, "must not begin with '-'"),
        ('[hosts.web1]\nuser = "a\\nb"\n', 2, "must be a string"),
        ("[hosts.web1]\nsocket = 'x.sock'\n", 2, "absolute path"),
        ("[hosts.web1]\nsudo = 1\n", 2, "true or false"),
        ("[hosts.web1]\nidentity = []\n", 2, "path or an array"),
        ("[hosts]\nweb1 = 3\n", 2, "must be a table"),
        ("[hosts.'a b']\n", 1, "cannot be a host's name"),
        ("[host.web1]\n", 1, "unknown table [host]"),
        ("[defaults]\naddress = 'x'\n", 2, "cannot be a default"),
        ("[groups]\nweb = 3\n", 2, "must be a host set"),
        ("[groups]\na = '@b'\nb = '@c'\nc = '@a,x'\n", 2, "@a → @b → @c → @a"),
        ("groups = 3\n", 1, "groups must be a table"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_line(text: str, line: int, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_hosts_file(text, PATH)
    assert caught.value.message.startswith(f"{PATH}:{line}: ")
    assert message in caught.value.message


def test_find_and_load(tmp_path: Path) -> None:
    environ = {"HOME": "/home/me"}
    assert Inventory.find(None, environ, tmp_path) == Path("/home/me/.config/jackstay/hosts.toml")
    assert Inventory.find(None, {**environ, "XDG_CONFIG_HOME": "/c"}, tmp_path) == Path("/c/jackstay/hosts.toml")
    environ["JACKSTAY_INVENTORY"] = "env.toml"
    assert Inventory.find(None, environ, tmp_path) == tmp_path / "env.toml"
    assert Inventory.find("/x/given.toml", environ, tmp_path) == Path("/x/given.toml")
    assert Inventory.load(tmp_path / "missing.toml").hosts == {}
    (tmp_path / "bad.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match=r"bad\.toml"):
        Inventory.load(tmp_path / "bad.toml")
    with pytest.raises(UsageError, match="cannot be read"):
        Inventory.load(tmp_path)


names = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,10}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=12).filter(
    lambda text: text.isprintable() and not text.startswith("-")
)
hosts = st.builds(
    Host,
    name=names,
    address=texts,
    port=st.none() | st.integers(1, 65535),
    user=st.none() | texts,
    identity_files=st.lists(texts.map(lambda t: "/k" + t.replace("/", "")), max_size=3).map(tuple),
    known_hosts=st.just(()),
    socket=texts.map(lambda t: f"/run/{t}"),
    kind=st.just("ssh"),
    jump=st.none() | texts,
    sudo=st.booleans(),
)


@given(hosts)
def test_a_written_host_is_read_back_the_same(host: Host) -> None:
    assert parse_hosts_file(toml_host(host), PATH).hosts == {host.name: host}


COMMENTED = """# my fleet
[hosts.web1]   # the first
address = "192.0.2.1"

# the second one
[hosts.web2]
address = "192.0.2.2"

[groups]
web = "web[1-2]"
"""


def test_adding_and_removing_keeps_everything_else() -> None:
    added = add_host(COMMENTED, Host(name="db.1", address="192.0.2.9", port=22), PATH)
    assert added.startswith(COMMENTED)
    assert parse_hosts_file(added, PATH).hosts["db.1"].port == 22
    assert remove_host(added, "db.1", PATH).strip() == COMMENTED.strip()
    without = remove_host(COMMENTED, "web1", PATH)
    assert without == COMMENTED.replace('[hosts.web1]   # the first\naddress = "192.0.2.1"\n\n', "")
    assert list(parse_hosts_file(without, PATH).hosts) == ["web2"]
    assert remove_host(add_host("", Host("a", "b"), PATH), "a", PATH) == ""


def test_edits_that_are_refused() -> None:
    with pytest.raises(UsageError, match="already"):
        add_host(COMMENTED, Host(name="web1", address="x"), PATH)
    with pytest.raises(UsageError, match="name"):
        add_host("", Host(name="a b", address="x"), PATH)
    with pytest.raises(UsageError, match="not in") as caught:
        remove_host(COMMENTED, "web3", PATH)
    assert "web" in caught.value.hint
    with pytest.raises(UsageError, match="of its own"):
        remove_host("[hosts]\nweb1 = { address = 'x' }\n", "web1", PATH)
