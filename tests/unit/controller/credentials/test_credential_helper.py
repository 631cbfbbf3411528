"""Credential helpers, as real programs: what they are told, and what may come of it."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from jackstay.credentials.credential_helper import Helper, HelperFailed
from jackstay.credentials.docker_config import HUB_KEY
from jackstay.credentials.keeping import erase, store
from jackstay.credentials.lookup import credentials, lookup
from jackstay_oci.registry.tokens import Credential

KEEPER = """#!/bin/sh
# Keeps what it is told in files beside it, and its arguments.
cd "$(dirname "$0")"
echo "$@" >> arguments
told=$(cat)
case $1 in
get) echo "$told" >> asked; cat kept 2>/dev/null || { echo "credentials not found in native keychain"; exit 1; } ;;
store) echo "$told" > kept ;;
erase) rm kept ;;
esac
"""
SECRET = "s3cret"


@pytest.fixture
def bin(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


@pytest.fixture
def environ(tmp_path: Path, bin: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path), "PATH": f"{bin}:{os.environ['PATH']}"}


def program(bin: Path, name: str, text: str) -> str:
    path = bin / f"docker-credential-{name}"
    path.write_text(text)
    path.chmod(0o755)
    return name


def configure(tmp_path: Path, document: dict[str, object]) -> Path:
    path = tmp_path / ".docker" / "config.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document))
    return path


async def test_stored_looked_up_and_erased(tmp_path: Path, bin: Path, environ: dict[str, str]) -> None:
    path = configure(tmp_path, {"credsStore": program(bin, "keeper", KEEPER), "auths": {HUB_KEY: {"auth": "b2xkOnB3"}}})
    assert await lookup("docker.io", environ) is None  # who names a helper is asked nowhere else, as with docker
    assert await store("docker.io", Credential("me", SECRET), environ) is None
    assert json.loads((bin / "kept").read_text()) == {"ServerURL": HUB_KEY, "Username": "me", "Secret": SECRET}
    assert json.loads(path.read_text())["auths"] == {HUB_KEY: {}}
    assert await lookup("docker.io", environ) == Credential("me", SECRET)
    assert (bin / "asked").read_text().split() == [HUB_KEY] * 2
    assert await erase("docker.io", environ)
    assert not await erase("docker.io", environ)
    assert json.loads(path.read_text())["auths"] == {}
    assert SECRET not in (bin / "arguments").read_text()
    assert SECRET not in path.read_text()


async def test_an_identity_token_has_its_mark(tmp_path: Path, bin: Path, environ: dict[str, str]) -> None:
    configure(tmp_path, {"credHelpers": {"registry.example": program(bin, "keeper", KEEPER)}})
    await store("registry.example", Credential("me", "", "TOKEN"), environ)
    assert json.loads((bin / "kept").read_text())["Username"] == "<token>"
    assert await lookup("registry.example", environ) == Credential("", "", "TOKEN")
    assert await lookup("other.example", environ) is None


async def test_without_a_helper_the_file_keeps_it(tmp_path: Path, environ: dict[str, str]) -> None:
    path = tmp_path / ".docker" / "config.json"
    assert await store("registry.example", Credential("me", SECRET), environ) == path
    assert await lookup("registry.example", environ) == Credential("me", SECRET)
    assert await erase("registry.example", environ)
    assert not await erase("registry.example", environ)


async def test_one_command_looks_a_registry_up_once(tmp_path: Path, bin: Path, environ: dict[str, str]) -> None:
    known = credentials(environ)
    configure(tmp_path, {"credsStore": program(bin, "broken", "#!/bin/sh\nexit 3\n")})
    with pytest.raises(HelperFailed):
        await known("registry.example")
    configure(tmp_path, {"credsStore": program(bin, "keeper", KEEPER)})
    (bin / "kept").write_text(json.dumps({"Username": "me", "Secret": SECRET}))
    found = await asyncio.gather(*(known("registry.example") for _ in range(20)))
    assert found == [Credential("me", SECRET)] * 20
    assert (bin / "arguments").read_text() == "get\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("echo no keyring; exit 1", "docker-credential-bad get failed: no keyring"),
        (f'echo "{{\\"Secret\\": \\"{SECRET}\\"}}"; exit 1', "docker-credential-bad get failed: exit code 1"),
        ("exec kill -9 $$", "docker-credential-bad get failed: exit code -9"),
        (f"echo {SECRET}", "what it says of registry.example is no credential"),
        ('echo "[]"', "is no credential"),
        ('echo "{\\"Username\\": 3, \\"Secret\\": \\"x\\"}"', "is no credential"),
        ("yes", "said more than 65536 bytes"),
    ],
)
async def test_a_helper_that_fails_is_named(bin: Path, environ: dict[str, str], text: str, message: str) -> None:
    name = program(bin, "bad", f"#!/bin/sh\n{text}\n")
    with pytest.raises(HelperFailed) as error:
        await Helper(name, environ).get("registry.example")
    assert message in error.value.message
    assert SECRET not in error.value.message
    assert error.value.reason == "UNAUTHORIZED"


async def test_what_it_repeats_of_a_secret_is_not_told(bin: Path, environ: dict[str, str]) -> None:
    name = program(bin, "echo", f"#!/bin/sh\ncat >/dev/null; echo cannot keep {SECRET}; exit 1\n")
    with pytest.raises(HelperFailed, match="exit code 1") as error:
        await Helper(name, environ).store("registry.example", Credential("me", SECRET))
    assert SECRET not in error.value.message


async def test_one_that_does_not_read_is_no_broken_pipe(bin: Path, environ: dict[str, str]) -> None:
    name = program(bin, "deaf", "#!/bin/sh\nexec 0<&-; echo not now; exit 1\n")
    with pytest.raises(HelperFailed, match="not now"):
        await Helper(name, environ).store("registry.example", Credential("me", "x" * 1_000_000))


@pytest.mark.parametrize("name", ["missing", "../../bin/sh", "", "a b"])
async def test_only_programs_of_docker_are_run(environ: dict[str, str], name: str) -> None:
    with pytest.raises(HelperFailed, match=f"docker-credential-{name} is not there"):
        await Helper(name, environ).get("registry.example")


async def test_a_hanging_one_is_killed_when_it_is_late_or_the_command_ends(bin: Path, environ: dict[str, str]) -> None:
    name = program(bin, "slow", '#!/bin/sh\necho $$ > "$(dirname "$0")/pid"; exec sleep 60\n')
    with pytest.raises(HelperFailed, match=r"took longer than 0\.5 seconds"):
        await Helper(name, environ, timeout=0.5).get("registry.example")
    await asyncio.to_thread(_wait_for_end, bin / "pid")
    getting = asyncio.create_task(Helper(name, environ).get("registry.example"))
    while not (bin / "pid").exists():
        await asyncio.sleep(0.01)
    getting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await getting
    await asyncio.to_thread(_wait_for_end, bin / "pid")


def _wait_for_end(pid: Path) -> None:
    number = pid.read_text().strip()
    pid.unlink()
    assert number == "" or not Path(f"/proc/{number}").exists()
