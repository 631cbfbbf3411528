"""A host as a registry on the laptop: images go there by SSH, layer by layer, and are run; uploads outlive cuts."""

from __future__ import annotations

import hashlib
import http.client
import json
import signal
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fleet.registry_client import Client
from tests.lab.images import Image, synthetic
from tests.lab.lab import Lab
from tests.lab.laptop import Laptop

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]


@contextmanager
def exposed(laptop: Laptop, *argv: str) -> Iterator[tuple[subprocess.Popen[bytes], Client]]:
    """``jackstay registry expose`` for the time of the block; it ends well by Ctrl-C unless it has ended."""
    process = laptop.start("registry", "expose", *argv)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().decode().strip()
        assert address.startswith("127.0.0.1:"), process.communicate()
        yield process, Client(address)
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=30)
            assert process.returncode == 0, said
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_images_go_there_layer_by_layer_and_run(lab: Lab, laptop: Laptop, base: Image, web: Image) -> None:
    with exposed(laptop, "web1") as (_, client):
        client.push(base, "base:1")
        client.sent = 0
        client.push(web, "httpd:1.1")
        assert client.sent == web.layers[-1].stat().st_size + len(web.config_bytes())
        assert client.ask("GET", "/v2/_catalog")[2] == b'{"repositories":["base","httpd"]}'
    assert set(laptop.ok("-H", "web1", "images", "--no-trunc", "-q").lines) == {base.id, web.id}
    ran = laptop.ok("-H", "web1", "run", "--rm", "httpd:1.1", "cat", "/var/www/html/index.html")
    assert ran.stdout == "It works!\n"
    mode = lab.hosts["web1"].path("/run/jackstay/registry.sock").stat().st_mode
    assert (stat.S_ISSOCK(mode), stat.S_IMODE(mode)) == (True, 0o660)


def test_what_a_host_has_is_pulled_from_it(laptop: Laptop, web: Image, web_archive: Path) -> None:
    laptop.ok("-H", "web1", "load", "-q", "-i", web_archive)
    with exposed(laptop, "web1") as (_, client):
        status, headers, manifest = client.ask("GET", "/v2/httpd/manifests/1.1")
        assert (status, headers["Content-Length"]) == (200, str(len(manifest)))
        for layer, path in zip(json.loads(manifest)["layers"], web.layers, strict=True):
            assert client.ask("GET", f"/v2/httpd/blobs/{layer['digest']}")[2] == path.read_bytes()


def test_an_upload_outlives_the_agents_death(lab: Lab, laptop: Laptop, tmp_path: Path) -> None:
    image = synthetic(tmp_path, 4 << 20)
    data = image.layers[0].read_bytes()
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    agent = lab.hosts["web1"].agent
    with exposed(laptop, "web1", "--port", "0") as (_, client):
        _, begun, _ = client.ask("POST", "/v2/big/blobs/uploads/")
        assert client.ask("PATCH", begun["Location"], data[: 1 << 20], Content_Range=f"0-{(1 << 20) - 1}")[0] == 202
        agent.kill()
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            client.ask("GET", "/v2/")
        agent.start()
        status, headers, _ = client.ask("GET", begun["Location"])
        assert (status, headers["Range"]) == (204, f"0-{(1 << 20) - 1}")
        assert client.ask("PUT", f"{begun['Location']}?digest={digest}", data[1 << 20 :])[0] == 201
        client.sent = 0
        client.push(image, "big:1")
        assert client.sent == len(image.config_bytes())
    assert laptop.ok("-H", "web1", "images", "-q", "--no-trunc").lines == [image.id]


def test_a_lost_connection_ends_it(lab: Lab, laptop: Laptop) -> None:
    with exposed(laptop, "-H", "web1") as (process, _):
        host = lab.hosts["web1"]
        connections = host.exec(
            ["sh", "-c", "ps -eo pid,args | awk '/sshd: root/ && !/awk/ {print $1}'"]
        ).stdout.split()
        assert connections
        host.exec(["kill", "-9", *connections])
        _, said = process.communicate(timeout=60)
        assert process.returncode == 4, said
        assert b"Error: the SSH connection to web1 was lost" in said


def test_one_host_and_a_free_port(lab: Lab, laptop: Laptop) -> None:
    assert "2 were chosen" in laptop.run("registry", "expose", "web[1-2]").ended(2).stderr
    assert "named twice" in laptop.run("-H", "web1", "registry", "expose", "web2").ended(2).stderr
    with exposed(laptop, "web1") as (_, client):
        port = client.address.partition(":")[2]
        assert f"port {port} of this machine is taken" in (
            laptop.run("registry", "expose", "web1", "--port", port).ended(2).stderr
        )
