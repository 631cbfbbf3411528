"""Which policy holds for a repository, and which are none."""

from __future__ import annotations

import msgspec
import pytest

from jackstay_oci.signatures.policy import Policy, SignedBy, check_scopes, policy_for

TEAM = SignedBy(keys=("/keys/team.pub",))
POLICIES: dict[str, Policy] = {
    "*": "reject",
    "docker.io/library": "accept",
    "registry.example:5000": SignedBy(keys=("/keys/all.pub",)),
    "registry.example:5000/team": TEAM,
    "registry.example:5000/team/open": "accept",
}


@pytest.mark.parametrize(
    ("name", "scope"),
    [
        ("docker.io/library/httpd", "docker.io/library"),
        ("docker.io/somebody/httpd", "*"),
        ("registry.example:5000/team", "registry.example:5000/team"),
        ("registry.example:5000/team/app", "registry.example:5000/team"),
        ("registry.example:5000/team/app/web", "registry.example:5000/team"),
        ("registry.example:5000/team/open", "registry.example:5000/team/open"),
        ("registry.example:5000/teams/open", "registry.example:5000"),
        ("registry.example/team/app", "*"),
    ],
)
def test_the_longest_that_fits_holds(name: str, scope: str) -> None:
    assert policy_for(POLICIES, name) == (scope, POLICIES[scope])


def test_without_a_policy_images_are_accepted() -> None:
    assert policy_for({}, "docker.io/library/httpd") == ("*", "accept")


def test_what_policies_are_for() -> None:
    check_scopes([*POLICIES, "localhost", "127.0.0.1:5000/a/b", "docker.io", "docker.io/library/httpd"])


@pytest.mark.parametrize(
    "scope",
    [
        "", "httpd", "library/httpd", "Registry Example", "registry.example/", "registry.example/team/",
        "registry.example/app:1", "registry.example/*", "index.docker.io", "registry.example/App",
        f"registry.example/app@sha256:{'a' * 64}",
    ],
)  # fmt: skip
def test_what_no_image_would_be_held_against_is_an_error(scope: str) -> None:
    with pytest.raises(ValueError, match="no registry and no repository"):
        check_scopes([scope])


@pytest.mark.parametrize(
    "document",
    [
        {"keys": []},
        {"keys": ["team.pub"]},
        {"keys": ["/keys/team.pub"], "more": 1},
        {},
        "refuse",
        ["/keys/team.pub"],
    ],
    ids=str,
)
def test_what_is_no_policy_is_an_error(document: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(document, Policy)
    assert msgspec.convert({"keys": ["/keys/team.pub"]}, Policy) == TEAM
