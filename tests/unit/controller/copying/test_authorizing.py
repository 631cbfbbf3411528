"""Answers to agents: only for what the call is about, whatever they ask."""

from __future__ import annotations

import asyncio

import pytest

from jackstay.client import messages
from jackstay.copying.authorizing import MAX_OPEN, Authorizing
from jackstay.errors import AgentError, Unauthorized
from jackstay_oci.registry.authorizing import Authorization, AuthorizationWanted


class Known:
    def __init__(self, answer: Authorization | Exception | None) -> None:
        self.reply = answer
        self.wanted: list[AuthorizationWanted] = []
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def authorize(self, wanted: AuthorizationWanted) -> Authorization | None:
        self.wanted.append(wanted)
        await self.go_on.wait()
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply


def question(registry: str = "registry.example", *scopes: str) -> messages.AuthorizationWanted:
    return messages.AuthorizationWanted(
        request=7, registry=registry, url="https://mirror.example", scheme="bearer", realm="https://auth",
        service="svc", scopes=scopes or ("repository:app:pull",), refused=True,
    )  # fmt: skip


async def answered(known: Known, wanted: messages.AuthorizationWanted, **options: bool) -> messages.AuthorizationGiven:
    written: asyncio.Queue[messages.AuthorizationGiven] = asyncio.Queue()
    authorizing = Authorizing(written.put, known, "registry.example", "app", **options)
    authorizing.answer(wanted)
    given = await asyncio.wait_for(written.get(), 10)
    await authorizing.close()
    return given


async def test_an_answer_carries_the_header_and_how_long_it_holds() -> None:
    known = Known(Authorization("Bearer x", 30))
    given = await answered(known, question())
    assert (given.request, given.header, given.seconds, given.reason) == (7, "Bearer x", 30, "")
    (wanted,) = known.wanted
    assert (wanted.registry, wanted.url, wanted.refused) == ("registry.example", "https://mirror.example", True)
    assert (wanted.challenge.realm, wanted.challenge.scopes) == ("https://auth", ("repository:app:pull",))


async def test_no_credentials_are_an_empty_header() -> None:
    given = await answered(Known(None), question())
    assert (given.request, given.header, given.reason) == (7, "", "")


async def test_errors_travel_and_mistakes_too() -> None:
    given = await answered(Known(Unauthorized("wrong password", hint="log in")), question())
    assert (given.reason, given.message, given.hint) == ("UNAUTHORIZED", "wrong password", "log in")
    given = await answered(Known(ValueError("secret")), question())
    assert given.reason == "INTERNAL"
    assert "secret" not in given.message


@pytest.mark.parametrize(
    ("registry", "scope"),
    [
        ("other.example", "repository:app:pull"),
        ("registry.example", "repository:app:pull,push"),
        ("registry.example", "repository:other:pull"),
        ("registry.example", "registry:catalog:*"),
        ("registry.example", "app"),
    ],
)
async def test_an_agent_gets_nothing_that_the_call_does_not_need(registry: str, scope: str) -> None:
    known = Known(Authorization("Bearer x", 30))
    given = await answered(known, question(registry, scope))
    assert (given.reason, given.header) == ("UNAUTHORIZED", "")
    assert known.wanted == []


async def test_where_others_may_be_read_they_may_not_be_written() -> None:
    known = Known(Authorization("Bearer x", 30))
    assert (await answered(known, question("registry.example", "repository:other:pull"), others=True)).header
    given = await answered(known, question("registry.example", "repository:other:pull,push"), others=True)
    assert given.reason == "UNAUTHORIZED"


async def test_an_agent_that_asks_without_end_is_broken_off() -> None:
    known = Known(None)
    known.go_on.clear()
    written: list[messages.AuthorizationGiven] = []

    async def write(given: messages.AuthorizationGiven) -> None:
        written.append(given)

    authorizing = Authorizing(write, known, "registry.example", "app")
    for _ in range(MAX_OPEN):
        authorizing.answer(question())
    with pytest.raises(AgentError, match="more than"):
        authorizing.answer(question())
    await authorizing.close()
    assert written == []
