"""jackstay as a user has it: a laptop, and one host of the lab."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.interop.trees import Tree, tree_of_process
from tests.lab.emptying import empty
from tests.lab.host import Host
from tests.lab.lab import Lab
from tests.lab.laptop import Laptop, data


class Jackstay:
    """A laptop and one host, ``web1``."""

    def __init__(self, lab: Lab) -> None:
        self.laptop = Laptop(lab)
        self.host: Host = lab.hosts["web1"]

    def run(self, *argv: str | Path) -> str:
        """``jackstay -H web1 ARGV``, which must succeed; what it printed."""
        return self.laptop.ok("-H", "web1", *argv, timeout=100).stdout

    def load(self, archive: Path, *argv: str) -> list[str]:
        """``load -i``; the names or ids that it printed."""
        return [line.partition(": ")[2] for line in self.run("load", "-i", archive, *argv).splitlines()]

    def copy(self, source: str, target: str, *argv: str) -> None:
        """``copy`` between the laptop's files and ``web1::``."""
        self.laptop.ok("copy", *argv, source, target, timeout=100)

    def save(self, archive: Path, *argv: str) -> Path:
        """``save -o``."""
        self.run("save", "-o", archive, *argv)
        return archive

    def inspect(self, name: str) -> dict[str, Any]:
        """What ``image inspect`` says."""
        (found,) = data(self.laptop.ok("-H", "web1", "--json", "image", "inspect", name))
        return dict(found)

    def tree(self, image: str) -> Tree:
        """What a container of an image sees."""
        container = self.run("run", "-d", image, "sleep", "600").strip()
        (found,) = json.loads(self.run("inspect", container))
        tree = tree_of_process(self.host, found["State"]["Pid"])
        self.run("rm", "-f", container)
        return tree

    def empty(self) -> None:
        """Remove everything."""
        empty(self.host)
