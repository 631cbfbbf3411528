"""The grammar of a copy's ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackstay.copying.endpoints import (
    ArchiveEndpoint,
    DaemonEndpoint,
    Endpoint,
    HostsDaemonEndpoint,
    HostsEndpoint,
    RegistryEndpoint,
    StreamEndpoint,
    parse,
)
from jackstay_oci.errors import InvalidArgument


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("web1::httpd:1.1", HostsEndpoint("web1", "httpd:1.1")),
        ("web[2-40]::", HostsEndpoint("web[2-40]")),
        ("@web!web7::", HostsEndpoint("@web!web7")),
        ("root@[2001:db8::1]:22::app:1", HostsEndpoint("root@[2001:db8::1]:22", "app:1")),
        ("[2001:db8::1]::", HostsEndpoint("[2001:db8::1]")),
        ("a::b::c", HostsEndpoint("a::b", "c")),
        ("oci::app", HostsEndpoint("oci", "app")),
        ("web1::docker-daemon:app:1", HostsDaemonEndpoint("web1", "app:1")),
        ("docker-daemon:app:1", DaemonEndpoint("app:1")),
        ("docker://reg.example:5000/a/b:1", RegistryEndpoint("reg.example:5000/a/b:1")),
        ("docker-archive:/tmp/a::b.tar", ArchiveEndpoint("docker-archive", "/tmp/a::b.tar")),
        ("oci-archive:x.tar", ArchiveEndpoint("oci-archive", "x.tar")),
        ("oci:folder", ArchiveEndpoint("oci", "folder")),
        ("-", StreamEndpoint()),
    ],
)
def test_forms(text: str, endpoint: Endpoint) -> None:
    assert parse(text) == endpoint
    assert str(endpoint) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "web1",
        "app:1",
        "::app",
        ":::app",
        "root@[2001:db8::1]",
        "docker://",
        "docker-archive:",
        "web1::docker-daemon:",
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(InvalidArgument) as error:
        parse(text)
    assert repr(text) in error.value.message


hosts = st.from_regex(r"(@?[a-z]{1,8}|root@\[2001:db8::[0-9a-f]{1,4}\](:22)?|web\[1-9\])", fullmatch=True).filter(
    lambda text: text not in ("oci", "docker")
)
images = st.from_regex(r"[a-z]{1,9}(/[a-z]{1,9})?(:[a-z0-9.]{1,9})?(@sha256:[0-9a-f]{64})?", fullmatch=True)


@given(hosts, st.none() | images)
def test_hosts_and_images_come_back(host: str, image: str | None) -> None:
    endpoint = HostsEndpoint(host, image)
    assert parse(str(endpoint)) == endpoint


@given(st.text())
def test_nothing_but_invalid_argument_escapes(text: str) -> None:
    try:
        endpoint = parse(text)
    except InvalidArgument:
        return
    assert parse(str(endpoint)) == endpoint
