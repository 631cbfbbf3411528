"""A file from a web server as a stream of bytes, for a thread.

Guarantees: only http and https, also after redirects, and never from https back to http; a user and password in the URL
go to its own server alone, and are in no error and no history; what breaks off is an error and never a short file.
"""

from __future__ import annotations

import base64
import http.client
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPMessage
from typing import IO, Any

from jackstay.errors import Error, InvalidArgument

TIMEOUT = 60.0
"""Seconds in which a server must say something."""


class DownloadFailed(Error):
    """A web server did not give the file."""

    reason = "SOURCE_FAILED"


def is_url(text: str) -> bool:
    """Whether *text* is to be downloaded."""
    return text.lower().startswith(("http://", "https://"))


def shown(url: str) -> str:
    """*url* without what may be secret: user, password, query and fragment.

    Raises:
        InvalidArgument: it is malformed.
    """
    parts = _split(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}{parts.path}"


@contextmanager
def download(url: str) -> Iterator[Download]:
    """The file at *url*, open.

    Raises:
        InvalidArgument: the URL is malformed.
        DownloadFailed: the server cannot be reached, says no, or sends elsewhere than http and https.
    """
    name, parts = shown(url), _split(url)
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="")
    headers = {"User-Agent": "jackstay", "Accept-Encoding": "identity"}
    request = urllib.request.Request(bare.geturl(), headers=headers)  # noqa: S310  # the scheme was looked at
    if parts.username is not None:
        login = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        # Not to be taken along to where a redirect leads.
        request.add_unredirected_header("Authorization", f"Basic {base64.b64encode(login.encode()).decode()}")
    try:
        response = urllib.request.build_opener(_Redirects).open(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        raise DownloadFailed(f"{name}: the server says {error.code} {error.reason}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        told = error.reason if isinstance(error, urllib.error.URLError) else error
        raise DownloadFailed(f"{name} cannot be downloaded: {_said(told)}", hint="check the URL") from None
    with response:
        yield Download(response, name)


class Download:
    """A reader of a response's body."""

    def __init__(self, response: Any, name: str) -> None:
        self._response = response
        self._name = name
        self._count = 0
        length = response.headers.get("Content-Length", "")
        self._length = int(length) if length.isascii() and length.isdigit() else None

    def read(self, size: int, /) -> bytes:
        """At most *size* bytes. Raises :class:`DownloadFailed` when the connection breaks."""
        try:
            data: bytes = self._response.read(size)
        except (OSError, http.client.HTTPException) as error:
            raise self._broken(_said(error)) from None
        self._count += len(data)
        if not data and self._length is not None and self._count < self._length:
            raise self._broken(f"{self._length} were announced")
        return data

    def _broken(self, why: str) -> DownloadFailed:
        return DownloadFailed(f"{self._name}: the download ended after {self._count} bytes: {why}", hint="try again")


class _Redirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        target = urllib.parse.urlsplit(newurl).scheme.lower()
        if target not in ("http", "https") or (req.type == "https" and target != "https"):
            raise urllib.error.URLError(f"it is sent on to {target[:20]}, from {req.type}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _split(url: str) -> urllib.parse.SplitResult:
    try:
        parts = urllib.parse.urlsplit(url)
        good = bool(parts.hostname) and (parts.port is None or parts.port > 0) and url.isprintable() and " " not in url
    except ValueError:
        good = False
    if not good:
        raise InvalidArgument("the URL is malformed", hint="write https://HOST/PATH")
    return parts


def _said(error: object) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
