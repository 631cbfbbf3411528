"""Programs that keep credentials: ``docker-credential-NAME``, as docker's ``credsStore`` and ``credHelpers`` name them.

Guarantees that a secret goes to a program's standard input and comes from its standard output alone, that no more than
64 KiB are read, and that a program is killed when it takes longer than ``TIMEOUT``. Source:
github.com/docker/docker-credential-helpers, ``client``.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import IO

from jackstay.credentials.docker_config import key_of
from jackstay.errors import Unauthorized
from jackstay_oci.registry.tokens import Credential

TIMEOUT = 120.0
"""Seconds, for some ask the user to unlock a keyring."""
MAX_OUTPUT = 64 * 1024
"""Bytes that a helper may say."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_NONE = "credentials not found"
_TOKEN = "<token>"  # noqa: S105  # the user's name that marks an identity token


class HelperFailed(Unauthorized):
    """A credential helper is not there, fails, or says what it may not."""


class Helper:
    """One program."""

    def __init__(self, name: str, environ: Mapping[str, str], *, timeout: float = TIMEOUT) -> None:
        self.program = f"docker-credential-{name}"[:100]
        self._name = name
        self._environ = environ
        self._timeout = timeout

    async def get(self, registry: str) -> Credential | None:
        """What it has for the registry.

        Raises:
            HelperFailed: it cannot say.
        """
        said = await self._run("get", key_of(registry))
        if said is None:
            return None
        try:
            answer = json.loads(said)
            username, secret = answer["Username"], answer["Secret"]
        except (ValueError, TypeError, KeyError, RecursionError):
            username = secret = None
        if not isinstance(username, str) or not isinstance(secret, str):
            raise HelperFailed(f"{self.program}: what it says of {registry} is no credential") from None
        if username == _TOKEN:
            return Credential(username="", password="", identity_token=secret)
        return Credential(username=username, password=secret) if username or secret else None

    async def store(self, registry: str, credential: Credential) -> None:
        """Have it keep the credential.

        Raises:
            HelperFailed: it does not.
        """
        token = credential.identity_token
        entry = {
            "ServerURL": key_of(registry),
            "Username": _TOKEN if token else credential.username,
            "Secret": token or credential.password,
        }
        await self._run("store", json.dumps(entry), secret=entry["Secret"])

    async def erase(self, registry: str) -> None:
        """Have it forget what it has for the registry; nothing is no error.

        Raises:
            HelperFailed: it does not.
        """
        await self._run("erase", key_of(registry))

    async def _run(self, action: str, told: str, *, secret: str = "") -> str | None:
        """What it said; ``None`` when it knows of none."""
        path = await asyncio.to_thread(self._path)
        process = _Process([path, action], told.encode(), self._environ, self._timeout)
        running = asyncio.ensure_future(asyncio.to_thread(process.run))
        try:
            code, output = await asyncio.shield(running)
        except asyncio.CancelledError:
            process.kill()
            await asyncio.wait([running])
            raise
        except OSError as error:
            raise HelperFailed(f"{self.program} cannot be run: {error.strerror}") from None
        if process.late:
            raise HelperFailed(f"{self.program} {action} took longer than {self._timeout:g} seconds")
        if len(output) > MAX_OUTPUT:
            raise HelperFailed(f"{self.program} {action} said more than {MAX_OUTPUT} bytes")
        said = output.decode(errors="replace").strip()
        if code == 0:
            return said
        if _NONE in said:
            return None
        # A program that fails may repeat what it was told, or begin with what was asked for.
        why = "" if "{" in said or (secret and secret in said) else said.split("\n")[0][:200]
        raise HelperFailed(f"{self.program} {action} failed: {why or f'exit code {code}'}")

    def _path(self) -> str:
        path = shutil.which(self.program, path=self._environ.get("PATH")) if _NAME.fullmatch(self._name) else None
        if path is None:
            raise HelperFailed(
                f"{self.program} is not there",
                hint="docker's config.json names it in credsStore or credHelpers: install it, or take it out there",
            )
        return path


class _Process:
    """A run of a program, in a thread; :meth:`kill` may be called from another one."""

    def __init__(self, command: list[str], told: bytes, environ: Mapping[str, str], timeout: float) -> None:
        self._command = command
        self._told = told
        self._environ = environ
        self._timeout = timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False
        self._lock = threading.Lock()
        self.late = False

    def run(self) -> tuple[int, bytes]:
        """Exit code and output. Raises :class:`OSError` when it cannot be started."""
        with self._lock:
            if self._stopped:
                return -1, b""
            # Its standard error is the user's terminal, where it may ask for something.
            process = self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(self._environ)
            )
        timer = threading.Timer(self._timeout, self._too_late)
        timer.daemon = True
        timer.start()
        with process:
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                _tell(process.stdin, self._told)
                output = process.stdout.read(MAX_OUTPUT + 1)
                if len(output) > MAX_OUTPUT:
                    self.kill()
            finally:
                timer.cancel()
        return process.returncode, output

    def kill(self) -> None:
        """End it."""
        with self._lock:
            self._stopped = True
            if self._process is not None:
                self._process.kill()

    def _too_late(self) -> None:
        self.late = True
        self.kill()


def _tell(stdin: IO[bytes], told: bytes) -> None:
    with suppress(BrokenPipeError):  # it ended without reading; its exit code tells
        stdin.write(told)
        stdin.close()
