"""A namespace that the lab keeps alive with a process of its own, and the way to run programs in it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.lab.errors import LabError
from tests.lab.processes import Process

INIT = Path(__file__).with_name("init.py")

# Enter the host's cgroups first: afterwards the number that a shell knows itself by is another one.
ENTER = """
host=$1; shift
while [ "$1" != -- ]; do echo $$ >"/proc/$host/root$1" || exit 125; shift; done; shift
exec nsenter --target "$host" --mount --net --pid --cgroup --uts --ipc -- "$@"
"""


class Namespace:
    """The namespaces of one host, or of the switch; ``folder`` holds what is known about them."""

    def __init__(self, folder: Path, process: Process, joins: Sequence[str]) -> None:
        self.folder = folder
        self.process = process
        self.joins = tuple(joins)
        """The files of its cgroups, as the host sees them, that a process joins it by."""

    @classmethod
    def create(cls, folder: Path, config: dict[str, Any], lifeline: int | None) -> Namespace:
        """Start the process that holds it. Raises :class:`LabError` with what the process said."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "config.json"
        path.write_text(json.dumps(config | {"folder": str(folder), "lifeline": lifeline}))
        with (folder / "init.log").open("w") as log:
            started = subprocess.Popen(
                [sys.executable, "-I", "-S", str(INIT), str(path)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                pass_fds=() if lifeline is None else (lifeline,),
            )
        assert started.stdout is not None
        line = started.stdout.readline()
        started.stdout.close()
        started.wait()
        if line != b"ready\n":
            raise LabError(
                f"{config['name']}: the namespaces could not be made: {(folder / 'init.log').read_text().strip()}"
            )
        found = cls.open(folder)
        assert found is not None
        return found

    @classmethod
    def open(cls, folder: Path) -> Namespace | None:
        """The namespaces that ``folder`` tells of, or ``None`` when they are gone."""
        try:
            known = json.loads((folder / "init.json").read_text())
        except FileNotFoundError:
            return None
        process = Process(known["pid"], known["start"])
        return cls(folder, process, known["joins"]) if process.alive() else None

    def command(self, argv: Sequence[str]) -> list[str]:
        """What to run here so that ``argv`` runs in there, in the host's own cgroup."""
        return ["sh", "-c", ENTER, "enter", str(self.process.pid), *self.joins, "--", *argv]

    def path(self, inside: str) -> Path:
        """The path here of a file in there, sockets included."""
        return Path(f"/proc/{self.process.pid}/root", inside.lstrip("/"))

    def ip(self, *lines: str) -> None:
        """Run lines of ``ip`` in the network namespace, in one batch."""
        subprocess.run(
            ["nsenter", "--target", str(self.process.pid), "--net", "ip", "-batch", "-"],
            input="\n".join(lines) + "\n",
            text=True,
            check=True,
        )

    def net(self, *argv: str) -> str:
        """Run a program of the machine in the network namespace alone; its output."""
        return subprocess.run(
            ["nsenter", "--target", str(self.process.pid), "--net", *argv], check=True, capture_output=True, text=True
        ).stdout

    def sysctl(self, name: str, value: str) -> None:
        """Set a network setting of this namespace; one that the kernel does not have is left."""
        subprocess.run(
            [
                "nsenter",
                "--target",
                str(self.process.pid),
                "--net",
                "sh",
                "-c",
                f"! [ -e {name} ] || echo {value} >{name}",
            ],
            check=True,
        )

    def destroy(self) -> None:
        """End it and everything in it."""
        self.process.kill()
