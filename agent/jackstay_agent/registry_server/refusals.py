"""What a registry answers when it cannot do what it is asked: a status and an error document (distribution-spec, error
codes). The one border at which the agent's errors become such answers. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from jackstay_agent.errors import Error

_LONGEST = 1000
"""Characters of a message."""


class Refusal(Exception):
    """The answer to a request that fails: *status*, and one error of the document with *code* and *message*."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        detail: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.detail = dict(detail or {})
        self.headers = dict(headers or {})

    @property
    def document(self) -> bytes:
        """The body of the answer."""
        message = self.message.encode("utf-8", "backslashreplace").decode()[:_LONGEST]
        error: dict[str, object] = {"code": self.code, "message": message}
        if self.detail:
            error["detail"] = self.detail
        return msgspec.json.encode({"errors": [error]})


_ANSWERS: dict[str, tuple[int, str]] = {
    "NOT_FOUND": (404, "MANIFEST_UNKNOWN"),
    "INVALID_ARGUMENT": (400, "UNSUPPORTED"),
    "INVALID_REFERENCE": (400, "NAME_INVALID"),
    "INVALID_DIGEST": (400, "DIGEST_INVALID"),
    "INVALID_DOCUMENT": (400, "MANIFEST_INVALID"),
    "INVALID_ARCHIVE": (400, "MANIFEST_INVALID"),
    "DIGEST_MISMATCH": (400, "DIGEST_INVALID"),
    "LIMIT_EXCEEDED": (413, "SIZE_INVALID"),
    "SOURCE_FAILED": (404, "MANIFEST_BLOB_UNKNOWN"),
    "DISK_FULL": (507, "UNKNOWN"),
    "IN_USE": (409, "DENIED"),
    "AMBIGUOUS": (409, "DENIED"),
    "BUSY": (503, "UNKNOWN"),
    "UNSUPPORTED": (415, "UNSUPPORTED"),
}


def refusal_of(error: Error) -> Refusal:
    """The answer that says what *error* says, hint included: clients show the message alone."""
    status, code = _ANSWERS.get(error.reason, (500, "UNKNOWN"))
    return Refusal(status, code, f"{error.message}; {error.hint}" if error.hint else error.message)
