"""The token server's process: ``python -m tests.registries.token_program FOLDER ADDRESS PORT [CERTIFICATE KEY]``.

It reads ``FOLDER/rules.json`` for every request, so that tests change its mind, and prints a line of JSON for each.
"""

from __future__ import annotations

import json
import ssl
import sys
import threading
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.registries.token_rules import Rules, answer, pair_in


def main(folder: Path, address: str, port: int, *certificate: str) -> None:
    lock = threading.Lock()
    count = 0

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(parse_qs(urlsplit(self.path).query))

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            self._answer(parse_qs(self.rfile.read(length).decode()))

        def _answer(self, form: dict[str, list[str]]) -> None:
            nonlocal count
            rules = Rules(**json.loads((folder / "rules.json").read_text()))
            with lock:
                count += 1
                authorization = self.headers.get("Authorization", "")
                asked, document = answer(rules, pair_in(folder), self.command, authorization, form, count)
                print(json.dumps(asdict(asked)), flush=True)
            body = json.dumps(document).encode()
            self.send_response(asked.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer((address, port), Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        # Shaken hands with in the connection's own thread: who says nothing keeps nobody else waiting.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print(f"listening on {address}:{server.server_address[1]}", file=sys.stderr, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), *sys.argv[4:])
