"""The tunnel against a real SSH server and a real gRPC agent in this event loop."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from jackstay.client import connect
from jackstay.errors import Unreachable, UsageError
from jackstay.tunnel import open_tunnel
from jackstay.tunnel.ssh import SSHTunnel


async def refused(lab: Any, kind: str, host: Any = None, settings: Any = None) -> Unreachable:
    """Open a tunnel that must fail in one way, and leave nothing behind."""
    with pytest.raises(Unreachable) as caught:
        await open_tunnel(host or lab.host(), settings or lab.settings())
    assert caught.value.kind == kind, caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.hint
    assert lab.left() == []
    return caught.value


async def talk(path: str, data: bytes) -> bytes:
    """Send, end our direction, read to the end."""
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(data)
    writer.write_eof()
    try:
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


class Echo:
    """A server in the agent's place that answers once the client has said everything."""

    def __init__(self, path: str) -> None:
        self.path = path

    async def __aenter__(self) -> Echo:
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.server = await asyncio.start_unix_server(self.serve, self.path)
        return self

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = await reader.read()
        writer.write(data[::-1])
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        await self.server.wait_closed()


async def test_bytes_and_half_close_pass_through_both_ways(lab: Any) -> None:
    await lab.agent.stop()
    data = os.urandom(3 * 1024 * 1024)
    async with Echo(lab.agent.socket), await open_tunnel(lab.host(), lab.settings()) as tunnel:
        assert await talk(tunnel.socket_path, data) == data[::-1]
        answers = await asyncio.gather(*(talk(tunnel.socket_path, bytes([n]) * 1000) for n in range(20)))
    assert answers == [bytes([n]) * 1000 for n in range(20)]
    assert lab.opened == 1


async def test_only_this_user_can_reach_the_socket_and_nothing_stays(lab: Any) -> None:
    tunnel = await open_tunnel(lab.host(), lab.settings())
    folder = Path(tunnel.socket_path).parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert len(os.fsencode(tunnel.socket_path)) <= 100
    await tunnel.close()
    await tunnel.close()
    assert lab.left() == []


async def test_a_slow_reader_stops_the_agent_instead_of_filling_memory(lab: Any) -> None:
    await lab.agent.stop()
    sent = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        try:
            while sent < 200 * 1024 * 1024:
                writer.write(b"x" * 65536)
                await writer.drain()
                sent += 65536
        except ConnectionError:
            pass
        finally:
            writer.close()

    os.path.exists(lab.agent.socket) and os.unlink(lab.agent.socket)
    server = await asyncio.start_unix_server(flood, lab.agent.socket)
    async with await open_tunnel(lab.host(), lab.settings(window=1024 * 1024)) as tunnel:
        with socket.socket(socket.AF_UNIX) as reader:
            reader.setblocking(False)
            await asyncio.get_running_loop().sock_connect(reader, tunnel.socket_path)
            await asyncio.sleep(1.0)
            stalled = sent
            await asyncio.sleep(0.3)
            assert sent == stalled
            assert 0 < sent < 16 * 1024 * 1024
            assert len(await asyncio.get_running_loop().sock_recv(reader, 65536)) > 0
    server.close()
    await server.wait_closed()


async def test_a_changed_host_key_is_refused_naming_file_and_line(lab: Any) -> None:
    lab.write_known_hosts(asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode())
    for settings in (lab.settings(), lab.settings(accept_new=True)):
        error = await refused(lab, "host-key", settings=settings)
        assert "CHANGED" in error.message
        assert f"{lab.folder}/known_hosts:2" in error.message
        assert "ssh-keygen -R" in error.hint
    assert not (lab.folder / "accepted").exists()


async def test_a_host_key_of_another_kind_than_remembered_is_refused(lab: Any) -> None:
    lab.write_known_hosts(asyncssh.generate_private_key("ecdsa-sha2-nistp256").export_public_key().decode())
    await refused(lab, "host-key", settings=lab.settings(accept_new=True))


async def test_an_unknown_host_key_is_refused(lab: Any) -> None:
    (lab.folder / "known_hosts").unlink()
    error = await refused(lab, "host-key")
    assert "not known" in error.message
    assert "SHA256:" in error.message


async def test_a_revoked_host_key_is_refused(lab: Any) -> None:
    known = lab.folder / "known_hosts"
    line = known.read_text().splitlines()[1]
    known.write_text(f"{line}\n@revoked {line}\n")
    error = await refused(lab, "host-key", settings=lab.settings(accept_new=True))
    assert "revoked" in error.message


async def test_accept_new_remembers_the_key_and_refuses_another_afterwards(lab: Any) -> None:
    known = lab.folder / "known_hosts"
    known.rename(lab.folder / "away")
    async with await open_tunnel(lab.host(), lab.settings(accept_new=True)):
        pass
    accepted = lab.folder / "accepted"
    assert accepted.read_text().startswith(f"[127.0.0.1]:{lab.port} ssh-ed25519 ")
    assert stat.S_IMODE(accepted.stat().st_mode) == 0o600
    async with await open_tunnel(lab.host(), lab.settings()):
        pass
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    accepted.write_text(f"[127.0.0.1]:{lab.port} {other}")
    error = await refused(lab, "host-key", settings=lab.settings(accept_new=True))
    assert str(accepted) in error.message


async def test_a_line_that_is_no_key_does_not_hide_the_others(lab: Any) -> None:
    known = lab.folder / "known_hosts"
    known.write_text("rubbish\n@nonsense a b\n" + known.read_text())
    async with await open_tunnel(lab.host(), lab.settings()):
        pass


async def test_a_refused_key_tells_user_and_keys(lab: Any) -> None:
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(str(lab.folder / "other"))
    error = await refused(lab, "auth", lab.host(identity_files=(str(lab.folder / "other"),)))
    assert "tester" in error.message
    assert str(lab.folder / "other") in error.hint


async def test_a_missing_key_file_is_named(lab: Any) -> None:
    error = await refused(lab, "auth", lab.host(identity_files=("/nowhere/key",)))
    assert "/nowhere/key" in error.message
    assert lab.opened == 0


async def test_a_key_with_a_passphrase_is_passed_over(lab: Any) -> None:
    key = asyncssh.read_private_key(str(lab.folder / "id"))
    key.write_private_key(str(lab.folder / "locked"), "pkcs8-pem", passphrase="secret")
    error = await refused(lab, "auth", lab.host(identity_files=(str(lab.folder / "locked"),)))
    assert "ssh-add" in error.hint


async def test_nobody_listening_for_ssh(lab: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        await refused(lab, "refused", lab.host(port=free.getsockname()[1]))


async def test_a_name_without_an_address(lab: Any) -> None:
    await refused(lab, "name", lab.host(address="nowhere.invalid"))


async def test_a_server_that_says_nothing(lab: Any) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        await refused(lab, "timeout", lab.host(port=silent.getsockname()[1]), lab.settings(connect_timeout=0.5))


async def test_a_burst_that_is_dropped_is_tried_again(lab: Any) -> None:
    lab.drop = 2
    async with await open_tunnel(lab.host(), lab.settings()):
        pass
    assert lab.opened == 1


async def test_no_agent(lab: Any) -> None:
    await lab.agent.stop()
    os.path.exists(lab.agent.socket) and os.unlink(lab.agent.socket)
    error = await refused(lab, "no-agent")
    assert "web1" in error.message
    assert "jackstayd is not running" in error.message
    assert "systemctl start jackstayd" in error.hint


async def test_forwarding_forbidden_falls_back_to_a_session(lab: Any) -> None:
    lab.forward = False
    await lab.agent.stop()
    data = os.urandom(1024 * 1024)
    async with Echo(lab.agent.socket), await open_tunnel(lab.host(), lab.settings()) as tunnel:
        assert isinstance(tunnel, SSHTunnel)
        assert tunnel.dials
        assert await talk(tunnel.socket_path, data) == data[::-1]
        assert await talk(tunnel.socket_path, b"again") == b"niaga"
    assert lab.dialled == 2
    assert lab.direct == 0


async def test_neither_way_allowed(lab: Any) -> None:
    lab.forward = lab.commands = False
    error = await refused(lab, "forwarding")
    assert "This account is not available" in error.message


async def test_forwarding_forbidden_and_no_program(lab: Any) -> None:
    lab.forward = False
    (lab.folder / "bin" / "jackstayd").unlink()
    error = await refused(lab, "forwarding")
    assert "AllowStreamLocalForwarding" in error.hint


async def test_a_socket_that_only_others_may_open(lab: Any) -> None:
    lab.forward = False
    script = lab.folder / "bin" / "sh"  # the test may be root, whom no mode stops: the script's own answer is given
    script.write_text("#!/bin/sh\nexit 69\n")
    script.chmod(0o755)
    error = await refused(lab, "forwarding")
    assert "usermod -aG jackstay tester" in error.hint


async def test_sudo_runs_the_program_and_its_refusal_is_told(lab: Any) -> None:
    sudo = lab.folder / "bin" / "sudo"
    sudo.write_text('#!/bin/sh\n[ "$1" = -n ] && shift && exec "$@"\n')
    sudo.chmod(0o755)
    async with await connect(lab.host(sudo=True), lab.settings()) as agent:
        assert agent.version.os == "linux"
    assert (lab.direct, lab.dialled) == (0, 1)
    sudo.write_text("#!/bin/sh\necho 'sudo: a password is required' >&2; exit 1\n")
    with pytest.raises(Unreachable) as caught:
        await connect(lab.host(sudo=True), lab.settings())
    assert caught.value.kind == "forwarding"
    assert "a password is required" in caught.value.message
    assert "NOPASSWD" in caught.value.hint


async def test_noise_of_a_login_shell_does_not_reach_the_agents_bytes(lab: Any) -> None:
    lab.forward = False
    dial = lab.folder / "bin" / "sh"
    dial.write_text('#!/bin/sh\necho "welcome, jackstay-dia"\nexec /bin/sh "$@"\n')
    dial.chmod(0o755)
    async with await connect(lab.host(), lab.settings()) as agent:
        assert agent.version.os == "linux"


async def test_cancelling_while_opening_leaves_nothing(lab: Any) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        task = asyncio.create_task(open_tunnel(lab.host(port=silent.getsockname()[1]), lab.settings()))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert lab.left() == []


async def test_cancelling_at_any_moment_leaves_nothing(lab: Any) -> None:
    for delay in range(0, 60):
        task = asyncio.create_task(open_tunnel(lab.host(), lab.settings()))
        await asyncio.sleep(delay / 1000)
        task.cancel()
        try:
            await (await task).close()
        except asyncio.CancelledError:
            pass
    assert lab.left() == []


async def test_hosts_behind_a_bastion_share_its_connection(lab: Any) -> None:
    jump = f"tester@127.0.0.1:{lab.port}"
    hosts = [lab.host(name=f"web{n}", jump=jump) for n in range(5)]
    tunnels = await asyncio.gather(*(open_tunnel(host, lab.settings()) for host in hosts))
    assert lab.opened == 6  # one bastion, five hosts
    assert lab.jumped == 5
    await asyncio.gather(*(tunnel.close() for tunnel in tunnels))
    async with await open_tunnel(hosts[0], lab.settings()):
        assert lab.opened == 8  # the bastion was left, so it is opened again


async def test_an_unreachable_bastion_is_named_and_tried_once_for_all(lab: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        jump = f"127.0.0.1:{free.getsockname()[1]}"
        opening = (open_tunnel(lab.host(jump=jump), lab.settings()) for _ in range(3))
        errors = await asyncio.gather(*opening, return_exceptions=True)
    assert all(isinstance(error, Unreachable) and error.kind == "refused" for error in errors)
    assert all(f"bastion {jump}" in str(error) for error in errors)


async def test_the_bastions_host_key_is_checked(lab: Any) -> None:
    jump = f"tester@localhost:{lab.port}"  # known_hosts names 127.0.0.1 only
    known = lab.folder / "known_hosts"
    known.write_text(known.read_text().replace("127.0.0.1", "192.0.2.1"))
    error = await refused(lab, "host-key", lab.host(jump=jump))
    assert "bastion" in error.message


async def test_ssh_config_is_honoured(lab: Any) -> None:
    config = lab.folder / "config"
    config.write_text(
        f"Host shop\n HostName 127.0.0.1\n Port {lab.port}\n User tester\n IdentityFile {lab.folder}/id\n"
        f" UserKnownHostsFile {lab.folder}/known_hosts\n"
    )
    host = lab.host(name="shop", address="shop", port=None, user=None, identity_files=(), known_hosts=())
    async with await open_tunnel(host, lab.settings(ssh_config=str(config))):
        assert lab.opened == 1


async def test_ssh_config_cannot_switch_host_key_checking_off(lab: Any) -> None:
    config = lab.folder / "config"
    config.write_text("Host *\n UserKnownHostsFile none\n StrictHostKeyChecking no\n")
    await refused(lab, "host-key", lab.host(known_hosts=()), lab.settings(ssh_config=str(config)))


async def test_a_broken_ssh_config_is_a_usage_error(lab: Any) -> None:
    config = lab.folder / "config"
    config.write_text("Port many\n")
    with pytest.raises(UsageError, match="web1"):
        await open_tunnel(lab.host(), lab.settings(ssh_config=str(config)))


async def test_aes_gcm_is_negotiated(lab: Any) -> None:
    async with await open_tunnel(lab.host(), lab.settings()) as tunnel:
        assert isinstance(tunnel, SSHTunnel)
        assert tunnel.connection.get_extra_info("send_cipher") == "aes128-gcm@openssh.com"
        assert tunnel.connection.get_extra_info("recv_cipher") == "aes128-gcm@openssh.com"


async def test_local_goes_straight_to_the_socket(lab: Any) -> None:
    async with await open_tunnel(lab.host(kind="local"), lab.settings()) as tunnel:
        assert tunnel.socket_path == lab.agent.socket
    assert lab.opened == 0


async def test_local_without_an_agent(lab: Any) -> None:
    error = await refused(lab, "no-agent", lab.host(kind="local", socket=str(lab.folder / "nothing")))
    assert "-H" in error.hint
    assert "host add" in error.hint
