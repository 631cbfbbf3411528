"""Downloads from a real web server in a thread."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from jackstay.copying.download import DownloadFailed, download, is_url, shown
from jackstay.errors import InvalidArgument


class Handler(BaseHTTPRequestHandler):
    """Says what it is asked to, and remembers with which login."""

    seen: list[tuple[str, str | None]]  # path, Authorization

    def do_GET(self) -> None:
        type(self).seen.append((self.path, self.headers["Authorization"]))
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path[4:])
            self.end_headers()
        elif self.path == "/short":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"x" * 400)
        elif self.path.startswith("/file"):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"content")
        else:
            self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    """Its address, as ``HOST:PORT``."""
    Handler.seen = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{made.server_port}"
        made.shutdown()
        thread.join()


def get(url: str) -> bytes:
    with download(url) as body:
        data = b""
        while piece := body.read(3):
            data += piece
        return data


def test_a_file_and_one_elsewhere(server: str) -> None:
    assert get(f"http://{server}/file") == b"content"
    assert get(f"http://{server}/to/http://{server}/file2") == b"content"


def test_a_login_goes_to_its_own_server_and_into_no_error(server: str) -> None:
    login = "Basic " + base64.b64encode(b"me:s3cret/").decode()
    assert get(f"http://me:s3cret%2F@{server}/file?token=t0ken") == b"content"
    get(f"http://me:s3cret%2F@{server}/to/http://localhost:{server.rpartition(':')[2]}/file")
    assert [seen for seen in Handler.seen if seen[0].startswith("/file")] == [
        ("/file?token=t0ken", login), ("/file", None),
    ]  # fmt: skip
    with pytest.raises(DownloadFailed) as caught:
        get(f"http://me:s3cret@{server}/missing?token=t0ken#fragment")
    assert caught.value.message == f"http://{server}/missing: the server says 404 Not Found"
    assert caught.value.__cause__ is None
    with pytest.raises(DownloadFailed) as caught:
        get("http://me:s3cret@127.0.0.1:9/x?token=t0ken")
    assert "s3cret" not in caught.value.message
    assert "t0ken" not in caught.value.message
    assert "Connection refused" in caught.value.message


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:text/plain,x"])
def test_other_schemes_are_not_followed(server: str, target: str) -> None:
    with pytest.raises(DownloadFailed):
        get(f"http://{server}/to/{target}")


def test_what_breaks_off_is_an_error(server: str) -> None:
    with pytest.raises(DownloadFailed, match="the download ended after"):
        get(f"http://{server}/short")


@pytest.mark.parametrize(
    "url", ["http://", "https:///x", "http://a:b:c/", "http://h:99999/", "http://a b/", "http://h/\n"]
)
def test_malformed_urls(url: str) -> None:
    assert is_url(url)
    with pytest.raises(InvalidArgument, match="the URL is malformed"):
        get(url)


def test_what_is_shown_of_a_url() -> None:
    assert shown("https://me:pw@example.org:8443/a/b.tar?x=1#y") == "https://example.org:8443/a/b.tar"
    assert shown("HTTP://[::1]/a") == "http://[::1]/a"
    assert not is_url("ftp://x")
    assert not is_url("file.tar")
