"""Where a registry is."""

from __future__ import annotations

import pytest

from jackstay_oci.errors import InvalidArgument
from jackstay_oci.registry.places import Place, credential_name, places
from jackstay_oci.registry.settings import RegistrySettings


def where(registry: str, settings: RegistrySettings | None = None, certs: tuple[str, ...] = ()) -> list[str]:
    return [place.base for place in places(registry, settings or RegistrySettings(), lambda name: name in certs)]


@pytest.mark.parametrize(
    ("registry", "base"),
    [
        ("docker.io", "https://registry-1.docker.io/v2/"),
        ("registry.example", "https://registry.example/v2/"),
        ("registry.example:5000", "https://registry.example:5000/v2/"),
        ("localhost:5000", "http://localhost:5000/v2/"),
        ("LOCALHOST", "http://LOCALHOST/v2/"),
        ("127.0.0.1:5000", "http://127.0.0.1:5000/v2/"),
        ("127.9.9.9", "http://127.9.9.9/v2/"),
        ("[::1]:5000", "http://[::1]:5000/v2/"),
        ("[::2]:5000", "https://[::2]:5000/v2/"),
        ("10.0.0.1:5000", "https://10.0.0.1:5000/v2/"),
        ("localhost.example", "https://localhost.example/v2/"),
        ("127.0.0.1.example", "https://127.0.0.1.example/v2/"),
    ],
)
def test_only_the_loopback_is_spoken_to_without_tls(registry: str, base: str) -> None:
    assert where(registry) == [base]


def test_certificates_for_the_loopback_mean_tls() -> None:
    assert where("localhost:5000", certs=("localhost:5000",)) == ["https://localhost:5000/v2/"]


def test_a_name_can_be_allowed_to_do_without_tls() -> None:
    settings = RegistrySettings(plain_http=("registry.example:5000",))
    assert where("registry.example:5000", settings) == ["http://registry.example:5000/v2/"]
    assert where("registry.example", settings) == ["https://registry.example/v2/"]


def test_mirrors_come_first_in_their_order_and_with_their_paths() -> None:
    mirrors = (
        "https://one.example",
        "https://two.example:5000/v2/hub/",
        "http://127.0.0.1:5000",
        "https://x.example/y",
    )
    found = places("docker.io", RegistrySettings(mirrors={"docker.io": mirrors}), lambda _: False)
    assert found == (
        Place("https://one.example/v2/", "one.example", mirror=True),
        Place("https://two.example:5000/v2/hub/", "two.example:5000", mirror=True),
        Place("http://127.0.0.1:5000/v2/", "127.0.0.1:5000", mirror=True),
        Place("https://x.example/y/v2/", "x.example", mirror=True),
        Place("https://registry-1.docker.io/v2/", "docker.io"),
    )


def test_mirrors_are_one_registrys_own() -> None:
    settings = RegistrySettings(mirrors={"docker.io": ("https://mirror.example",)})
    assert where("registry.example", settings) == ["https://registry.example/v2/"]


@pytest.mark.parametrize(
    "url",
    [
        "mirror.example",
        "ftp://mirror.example",
        "https://",
        "https://mirror.example?x",
        "https://mirror.example#x",
        "https://user:secret@mirror.example",
        "http://mirror.example",
    ],
)
def test_what_is_no_mirror(url: str) -> None:
    with pytest.raises(InvalidArgument) as raised:
        where("docker.io", RegistrySettings(mirrors={"docker.io": (url,)}))
    assert "secret" not in raised.value.message + raised.value.hint


def test_a_mirror_without_tls_can_be_allowed() -> None:
    settings = RegistrySettings(mirrors={"docker.io": ("http://mirror.example",)}, plain_http=("mirror.example",))
    assert where("docker.io", settings)[0] == "http://mirror.example/v2/"


def test_credentials_are_a_servers_own() -> None:
    assert credential_name("docker.io", "https://registry-1.docker.io/v2/") == "docker.io"
    assert credential_name("docker.io", "https://mirror.example:5000/v2/") == "mirror.example:5000"
    assert credential_name("registry.example", "https://registry.example/v2/") == "registry.example"
    assert credential_name("registry.example", "https://registry-1.docker.io/v2/") == "registry-1.docker.io"
