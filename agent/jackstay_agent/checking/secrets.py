"""Checking secrets: rows without files, files without rows, files that others than the agent may open.

Guarantees: no value is read. The one look is taken while no secret is made, replaced or removed, so that nothing on its
way is a finding; nothing is deleted that has become a secret's since.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from functools import partial

from jackstay_agent.checking.findings import Finding
from jackstay_agent.checking.needs import Needs
from jackstay_agent.checking.parts import Parts
from jackstay_agent.errors import Error
from jackstay_agent.metadata import secrets as rows
from jackstay_agent.metadata.secrets import SecretRow


class SecretCheck:
    """One check of all secrets."""

    def __init__(self, parts: Parts, *, repair: bool) -> None:
        self._parts = parts
        self._secrets = parts.engine.secrets
        self._repair = repair

    async def run(self) -> AsyncGenerator[Finding, None]:
        """Secrets without their values, then files that are wrong, then those that are no secret's."""
        audit = await self._secrets.audit()
        for row in audit.missing:
            yield await self._missing(row)
        for name, entry, what in audit.wrong:
            path = self._secrets.path(entry)
            found = Finding("wrong", "secret", name or path, f"{path} {what}")
            yield await self._repaired(found, path, partial(self._secrets.put_right, entry))
        for entry in audit.orphaned:
            path = self._secrets.path(entry)
            found = Finding("orphaned", "secret", entry, f"{path} belongs to nothing")
            yield await self._repaired(found, path, partial(self._secrets.discard, entry))

    async def _missing(self, row: SecretRow) -> Finding:
        """A value that only who has it can give again."""
        who = Needs(containers=tuple(await self._parts.database.read(lambda c: rows.users(c, row.name))))
        hint = f"give it again with jackstay secret create --replace {row.name}"
        if not who:
            hint += f", or remove it with jackstay secret rm {row.name}"
        return Finding("missing", "secret", row.name, f"its file is gone; {who}", hint=hint)

    async def _repaired(self, found: Finding, path: str, repair: Callable[[], Awaitable[None]]) -> Finding:
        if not self._repair:
            return replace(found, hint="run system check --repair")
        try:
            await repair()
        except Error as error:
            detail = f"{found.detail}, and cannot be repaired: {error.message}"
            return replace(found, detail=detail, hint=f"look at {path} on the host")
        return replace(found, repaired=True)
