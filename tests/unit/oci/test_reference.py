from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackstay_oci.digest import Digest
from jackstay_oci.errors import InvalidReference
from jackstay_oci.reference import Reference

D = "sha256:" + "a1" * 32

# What github.com/distribution/reference makes of each: canonical and familiar form.
KNOWN = [
    ("httpd", "docker.io/library/httpd", "httpd"),
    ("httpd:2.4", "docker.io/library/httpd:2.4", "httpd:2.4"),
    ("library/httpd", "docker.io/library/httpd", "httpd"),
    ("docker.io/httpd", "docker.io/library/httpd", "httpd"),
    ("index.docker.io/httpd", "docker.io/library/httpd", "httpd"),
    ("index.docker.io/library/httpd", "docker.io/library/httpd", "httpd"),
    ("org/app", "docker.io/org/app", "org/app"),
    ("docker.io/org/app:1", "docker.io/org/app:1", "org/app:1"),
    ("library/a/b", "docker.io/library/a/b", "library/a/b"),
    ("localhost/app", "localhost/app", "localhost/app"),
    ("localhost:5000/app", "localhost:5000/app", "localhost:5000/app"),
    ("localhost", "docker.io/library/localhost", "localhost"),
    ("localhost:5000", "docker.io/library/localhost:5000", "localhost:5000"),
    ("registry.example.com/a/b:x", "registry.example.com/a/b:x", "registry.example.com/a/b:x"),
    ("127.0.0.1:5000/app", "127.0.0.1:5000/app", "127.0.0.1:5000/app"),
    ("[2001:db8::1]:5000/app", "[2001:db8::1]:5000/app", "[2001:db8::1]:5000/app"),
    ("Registry/app", "Registry/app", "Registry/app"),
    ("a.b/c", "a.b/c", "a.b/c"),
    ("a--b/c__d/e.f_g-h", "docker.io/a--b/c__d/e.f_g-h", "a--b/c__d/e.f_g-h"),
    (f"app@{D}", f"docker.io/library/app@{D}", f"app@{D}"),
    (f"app:1@{D}", f"docker.io/library/app:1@{D}", f"app:1@{D}"),
    ("docker.io/localhost/app", "docker.io/localhost/app", "docker.io/localhost/app"),
    ("a" * 128, "docker.io/library/" + "a" * 128, "a" * 128),
]  # fmt: skip


@pytest.mark.parametrize(("text", "canonical", "familiar"), KNOWN)
def test_normalised_as_docker_does(text: str, canonical: str, familiar: str) -> None:
    reference = Reference.parse(text)
    assert str(reference) == canonical
    assert reference.familiar == familiar
    assert Reference.parse(familiar) == reference


@pytest.mark.parametrize(
    "text",
    [
        "", ":", "/", "@", "a/", "/a", "a//b", "a:", "a@", "a:b:c", "a/b:c/d:", "App", "org/App", "a" * 63 + "A", "-a",
        "a-", "a..b", "a___b", "_a", "a/_b", "a/.b", "a b", "a\n", "a:b\n", "a:-x", "a:.x", "a:" + "x" * 129, "ä",
        "a1" * 32, f"a@{D}x", "a@sha512:" + "a" * 128, f"a@{D}:tag", "-reg.io/a", "reg_x.io/a", "reg.io:port/a",
        "reg.io:/a", "[::1/a", "http://reg.io/a", "a" * 256, "x.io/" + "a" * 256, "a" * 5000, "a:b/c:d", "../a",
        "a/../b", "١",
    ],
)  # fmt: skip
def test_what_docker_refuses_is_refused(text: str) -> None:
    with pytest.raises(InvalidReference):
        Reference.parse(text)


def test_an_upper_case_repository_gets_a_hint() -> None:
    with pytest.raises(InvalidReference, match="lower case") as caught:
        Reference.parse("Httpd:1")
    assert "httpd:1" in caught.value.hint


def test_default_tag() -> None:
    assert str(Reference.parse("a").with_default_tag()) == "docker.io/library/a:latest"
    assert str(Reference.parse("a:1").with_default_tag()) == "docker.io/library/a:1"
    assert str(Reference.parse(f"a@{D}").with_default_tag()) == f"docker.io/library/a@{D}"


def test_with_tag_and_with_digest_replace_each_other() -> None:
    reference = Reference.parse("a:1")
    assert str(reference.with_digest(Digest.parse(D))) == f"docker.io/library/a@{D}"
    assert str(reference.with_digest(Digest.parse(D)).with_tag("2")) == "docker.io/library/a:2"
    assert reference.familiar_name == "a"
    with pytest.raises(InvalidReference):
        reference.with_tag("a/b")


_part = st.from_regex(r"[a-z0-9]+((\.|_|__|-{1,3})[a-z0-9]+){0,2}", fullmatch=True)
_registry = st.from_regex(
    r"(localhost|[a-z][a-z0-9]{0,9}\.[a-z]{2,5}|[0-9]{1,3}\.[0-9]{1,3})(:[0-9]{1,5})?", fullmatch=True
)


def _reference(registry: str | None, parts: list[str], tag: str | None, digest: str | None) -> str:
    # A first part with a dot would be taken for a registry, which may not have every character that a part may.
    path = "/".join(parts if registry or len(parts) == 1 else ["org", *parts])
    return (f"{registry}/" if registry else "") + path + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")


_references = st.builds(
    _reference,
    st.none() | _registry,
    st.lists(_part, min_size=1, max_size=4),
    st.none() | st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True),
    st.none() | st.just(D),
)


def _parsed(text: str) -> Reference | None:
    try:
        return Reference.parse(text)
    except InvalidReference:
        return None


@given(_references)
def test_writing_and_parsing_again_changes_nothing(text: str) -> None:
    reference = _parsed(text)
    assert reference is not None or len(text) >= 64
    if reference is not None:
        assert Reference.parse(str(reference)) == reference
        assert Reference.parse(reference.familiar) == reference
        assert len(reference.familiar) <= len(str(reference))


@given(
    st.text()
    | st.text(alphabet="aA0.:/@-_[]" + "\n")
    | _references.flatmap(lambda t: st.text("a:/@.", max_size=3).map(lambda x: t + x))
)
def test_nothing_but_invalid_reference_escapes(text: str) -> None:
    reference = _parsed(text)
    if reference is not None:
        assert Reference.parse(str(reference)) == reference
        assert Reference.parse(reference.familiar) == reference
