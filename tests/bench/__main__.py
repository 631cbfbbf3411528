"""``python -m tests.bench``: measures, prints medians and ratios, and writes ``docs/benchmarks.md``. As root."""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.bench import report, speed
from tests.bench.memory import Taken, watching
from tests.bench.scene import scene
from tests.bench.test_memory import AGENT, LARGE
from tests.bench.watched import big_archive, watch
from tests.lab.lab import Lab

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
IMAGE = 310_000_000  # bytes of the Debian image


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="rounds on tmpfs; a third of them on the disk (7)")
    parser.add_argument("--output", type=Path, default=PAGE, help="the page to write (docs/benchmarks.md)")
    arguments = parser.parse_args()
    machine = report.machine()
    sections = [memory(), *speeds(arguments.rounds)]
    arguments.output.write_text(report.page(machine, sections))
    print(f"{arguments.output} is written.")


def memory() -> str:
    """Everything that moves a layer of 1 GB, once."""
    rows: list[tuple[str, str, Taken]] = []
    with Lab(1) as lab, watching({"agent": lab.hosts["web1"].agent.pid}) as rest:
        pass
    with scene(LARGE) as stands:
        for compress in (False, True):
            stands.forget(stands.one)
            archive = big_archive(stands, "large:1", LARGE, compress=compress)
            loaded = watch(stands, "-H", "web1", "load", "-q", "-i", archive)
            archive.unlink()
            command = f"load, 1 GB layer, {'gzip' if compress else 'uncompressed'}"
            rows += [(command, "agent", loaded.one), (command, "controller", loaded.controller)]
        stands.forget(stands.two)
        copied = watch(stands, "copy", "web1::large:1", "web2::")
        rows += [
            ("copy", "agent of the source", copied.one),
            ("copy", "agent of the destination", copied.two),
            ("copy", "controller", copied.controller),
        ]
        stands.forget(stands.one)
        saved = watch(stands, "-H", "web2", "save", "-o", stands.folder / "saved.tar", "large:1")
        rows += [("save", "agent", saved.two), ("save", "controller", saved.controller)]
    text = report.memory(rows, AGENT) + "\n" + report.at_rest(rest["agent"])
    print(text)
    return text


def speeds(rounds: int) -> list[str]:
    """Everything that is timed."""
    sections = []
    for disk in (False, True):
        with scene(IMAGE, disk=disk) as stands:
            series = speed.images(stands, max(1, rounds // 3) if disk else rounds)
            title = f"Loading and copying 285 MB, on {'the disk' if stands.on == 'disk' else 'tmpfs'}"
            text = (
                "One layer of some 10,000 files, uncompressed. jackstay's commands end when everything is synced; "
                "`tar -x` alone does not wait for that, and whether Docker and Podman do was not looked at."
            )
            sections.append(report.speed(title, text, series))
            print(sections[-1])
            if not disk:
                text = "Whole commands, as a shell starts them."
                sections.append(report.speed("Starting", text, speed.starting(stands, 3 * rounds)))
                print(sections[-1])
                text = "The agent's version, asked for again and again on one connection."
                sections.append(report.speed("A call", text, speed.calls(stands, 300)))
                print(sections[-1])
    return sections


if __name__ == "__main__":
    main()
