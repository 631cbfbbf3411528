"""``python -m tests.lab``: a lab to work in."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.lab.archives import write_archive
from tests.lab.errors import LabError
from tests.lab.images import IMAGE_CACHE, Image, busybox_base, busybox_web, debian_apache, synthetic
from tests.lab.lab import PROGRAMS, Lab
from tests.lab.processes import adopt_orphans, end_children

DEFAULT_DIR = Path("/var/tmp/jackstay-lab")  # not /run or a tmpfs: images are kept there


def main() -> int:
    """Parse, do, return the exit code."""
    arguments = _parser().parse_args()
    try:
        return int(arguments.do(arguments))
    except LabError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1


def up(arguments: argparse.Namespace) -> int:
    """Start hosts that stay."""
    lab = _lab(arguments, stays=True)
    lab.up()
    for host in lab.hosts.values():
        print(f"{host.name}  {host.address}")
    print(f"\nexport JACKSTAY_INVENTORY={shlex.quote(str(lab.inventory))}")
    return 0


def down(arguments: argparse.Namespace) -> int:
    """Remove them."""
    Lab.open(arguments.dir).down()
    return 0


def run(arguments: argparse.Namespace) -> int:
    """Run a command in a lab that lives as long as the command."""
    if not arguments.command:
        raise LabError("no command: python -m tests.lab run --hosts 3 -- COMMAND")
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    try:
        with _lab(arguments, stays=False) as lab:
            adopt_orphans()
            child = subprocess.Popen(arguments.command, env=lab.environment())
            try:
                status = child.wait()
            except KeyboardInterrupt:
                _end(child)
                return 130
            finally:
                end_children()
            return 128 - status if status < 0 else status
    except KeyboardInterrupt:
        return 130
    except FileNotFoundError as error:
        raise LabError(f"no such command: {error.filename}") from error


def execute(arguments: argparse.Namespace) -> int:
    """Run a command on one of the hosts that stay, with this terminal."""
    lab = Lab.open(arguments.dir)
    if arguments.host not in lab.hosts:
        raise LabError(f"the lab in {arguments.dir} has no host {arguments.host}")
    command = lab.hosts[arguments.host].command(arguments.command or [os.environ.get("SHELL", "/bin/sh")])
    return subprocess.run(command).returncode


def _end(child: subprocess.Popen[bytes]) -> None:
    """Ask, then insist: a terminal has interrupted the command too, a supervisor has not."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        child.send_signal(number)
        try:
            child.wait(3)
            return
        except subprocess.TimeoutExpired:
            continue


def image(arguments: argparse.Namespace) -> int:
    """Write an image's archive: busybox (a shell), web (its web server), debian (apache2) or big."""
    with tempfile.TemporaryDirectory(prefix="jackstay-image-") as scratch:
        folder = Path(scratch)
        name = {"name": arguments.name} if arguments.name else {}
        builders: dict[str, Callable[[], Image]] = {
            "busybox": lambda: busybox_base(folder, **name),
            "web": lambda: busybox_web(folder, **name),
            "debian": lambda: debian_apache(IMAGE_CACHE, **name),
            "big": lambda: synthetic(folder, arguments.size, **name),
        }
        built = builders[arguments.kind]()
        write_archive(arguments.file, [built], arguments.form)
        print(built.id)
    return 0


def _lab(arguments: argparse.Namespace, stays: bool) -> Lab:
    agent = None if arguments.no_agent else (str(PROGRAMS / "jackstayd"),)
    return Lab(arguments.hosts, arguments.dir, state_size=arguments.state_size, agent=agent, stays=stays)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="up | down | run | exec | image")
    making = commands.add_parser("image", help=image.__doc__)
    making.set_defaults(do=image)
    making.add_argument("kind", choices=["busybox", "web", "debian", "big"])
    making.add_argument("file", type=Path)
    making.add_argument("--name")
    making.add_argument("--form", choices=["docker", "docker-classic", "oci"], default="docker")
    making.add_argument("--size", type=int, default=1 << 30, help="of big, in bytes")
    for name, do in (("up", up), ("down", down), ("run", run), ("exec", execute)):
        command = commands.add_parser(name, help=do.__doc__)
        command.set_defaults(do=do)
        command.add_argument(
            "--dir", type=Path, default=None if name == "run" else DEFAULT_DIR, help="the lab's folder"
        )
        if name in ("up", "run"):
            command.add_argument("--hosts", type=int, default=3, help="how many (3)")
            command.add_argument("--no-agent", action="store_true", help="hosts without an agent")
            command.add_argument("--state-size", help="put the agents' state on a tmpfs of this size, e.g. 2g")
        if name == "exec":
            command.add_argument("host")
        if name in ("run", "exec"):
            command.add_argument("command", nargs="*", metavar="-- COMMAND")
    return parser


if __name__ == "__main__":
    sys.exit(main())
