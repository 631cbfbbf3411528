"""``jackstay login``."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jackstay.cli.invocation import run_async
from jackstay.cli.main import print_warning
from jackstay.cli.output.view import Lines
from jackstay.cli.registry_result import show_registry
from jackstay.errors import Error, Unauthorized, UsageError

if TYPE_CHECKING:
    from jackstay_oci.registry.tokens import Credential

MAX_PASSWORD = 64 * 1024
"""Characters that are taken from standard input."""

_NO_TERMINAL = "login: standard input is no terminal to ask for the {}"


def command(
    ctx: typer.Context,
    registry: Annotated[str, typer.Argument(metavar="[REGISTRY]", show_default=False, help="Else Docker Hub.")] = "",
    username: Annotated[str, typer.Option("--username", "-u", metavar="USER", help="Else it is asked for.")] = "",
    password: Annotated[
        str, typer.Option("--password", "-p", metavar="PASSWORD", help="Others may see it: see --password-stdin.")
    ] = "",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password, or a token, from standard input.")
    ] = False,
) -> int:
    """Log in to a registry.

    The registry is asked first. What it takes is kept on this machine, where docker keeps it: in ~/.docker/config.json,
    or with the credential helper that this file names. Hosts get no password: for a pull or a push they are lent what
    the registry wants to see. Without a name what is kept already is tried first.

    \b
    Examples:
      jackstay login
      jackstay login -u robot --password-stdin registry.example:5000 < token
    """
    from jackstay.library.registries import registry_name

    name = registry_name(registry)
    if password:
        print_warning("a password on the command line can be seen by others: use --password-stdin")
    credential = _given(username, password, password_stdin)
    kept = None if credential else run_async(_kept(name))
    if credential is None and kept is None:
        credential = _asked(username)

    async def work() -> list[dict[str, Any]]:
        from jackstay.library import registries

        if credential is None:
            assert kept is not None
            if kept.error is not None:
                raise kept.error
            return [{"Registry": name, "Username": kept.username, "File": ""}]
        file = await registries.log_in(name, credential)
        if file is not None:
            print_warning(
                f"the password lies unencrypted in {file}; a credential helper that is named there keeps it better"
            )
        return [{"Registry": name, "Username": credential.username, "File": str(file or "")}]

    return show_registry(ctx, name, work, Lines(lambda item: "Login Succeeded"))


@dataclass(frozen=True, slots=True)
class _Kept:
    """What came of trying the credential that is kept."""

    username: str
    error: Error | None = None


async def _kept(registry: str) -> _Kept | None:
    """Try what is kept; ``None``: there is nothing, or the registry takes it no longer."""
    from jackstay.library import registries

    known = await registries.known_as(registry)
    if known is None:
        return None
    try:
        await registries.check(registry, known)
    except Unauthorized:
        return None
    except Error as error:
        return _Kept(known.username, error)
    return _Kept(known.username)


def _given(username: str, password: str, password_stdin: bool) -> Credential | None:
    """The credential that the command line gives; ``None``: it is to be looked up or asked for."""
    from jackstay_oci.registry.tokens import Credential

    if password and password_stdin:
        raise UsageError("login: either --password or --password-stdin")
    if (password or password_stdin) and not username:
        raise UsageError("login: whose password is it?", hint="add -u USER")
    if password_stdin:
        password = _without_line_end(sys.stdin.read(MAX_PASSWORD))
        if not password:
            raise UsageError("login: standard input has no password")
    if password:
        return Credential(username, password)
    return _asked(username) if username else None


def _asked(username: str) -> Credential:
    from jackstay_oci.registry.tokens import Credential

    if not username:
        username = _ask("name", lambda: _line("Username: "))
    return Credential(username, _ask("password", lambda: getpass.getpass("Password: ", sys.stderr)))


def _ask(what: str, ask: Callable[[], str]) -> str:
    if not sys.stdin.isatty():
        raise UsageError(_NO_TERMINAL.format(what), hint="use -u USER --password-stdin")
    try:
        answer = ask()
    except EOFError:
        answer = ""
    if not answer:
        raise UsageError(f"login: the {what} is empty")
    return answer


def _line(prompt: str) -> str:
    print(prompt, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()


def _without_line_end(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r")
