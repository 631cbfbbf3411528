"""``python -m tests.bench``: measures, prints medians and ratios, and writes ``docs/benchmarks.md``. As root."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.bench import registries, report, running, speed
from tests.bench.at_rest import at_rest
from tests.bench.commits import commits
from tests.bench.figures import Figure, against, table
from tests.bench.listing import listing
from tests.bench.memory import Taken, watching
from tests.bench.rounds import Series
from tests.bench.saving import saving
from tests.bench.scene import Scene, scene
from tests.bench.test_memory import AGENT, LARGE
from tests.bench.watched import big_archive, watch
from tests.lab.lab import Lab

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
IMAGE = 310_000_000  # bytes of the Debian image
LARGER = 4_000_000_000
LOCAL = "`jackstay -H local"
SYNCED = (
    "jackstay's commands end when blobs and rows are synced; unpacked layers follow two seconds later, and are looked "
    "at again after a power cut that came between. `tar -x`, Docker and Podman leave all to the kernel, so on the "
    "disk they are also measured with `sync -f` behind them."
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="rounds on tmpfs; five at least on the disk, too (7)")
    parser.add_argument("--output", type=Path, default=PAGE, help="the page to write (docs/benchmarks.md)")
    parser.add_argument(
        "--only", choices=("containers", "memory", "registries", "speed"), help="measure this alone, and write no page"
    )
    arguments = parser.parse_args()
    machine = report.machine()
    sections: list[str] = []
    if arguments.only == "containers":
        figures, sections = containers(arguments.rounds)
        print("\n".join([*sections, table(figures), resting()]))
    if arguments.only == "registries":
        figures, sections = of_registries(arguments.rounds)
        print("\n".join([*sections, table(figures)]))
    if arguments.only in (None, "speed"):
        figures, sections = speeds(arguments.rounds)
        for part in (containers, of_registries):
            of_part, more = part(arguments.rounds)
            figures, sections = [*figures, *of_part], [*sections, *more]
        sections = [table(figures), *sections]
        print(sections[0])
    if arguments.only in (None, "memory"):
        sections += [memory(), resting()]
    if not arguments.only:
        arguments.output.write_text(report.page(machine, sections))
        print(f"{arguments.output} is written.")


def speeds(rounds: int) -> tuple[list[Figure], list[str]]:
    """Everything that is timed: the figures, and the sections that they come from."""
    figures: list[Figure] = []
    sections: list[str] = []

    def measure(title: str, text: str, series: Sequence[Series]) -> Sequence[Series]:
        sections.append(report.speed(title, text, series))
        print(sections[-1])
        return series

    for disk in (False, True):
        with scene(IMAGE, disk=disk) as stands:
            on = "the disk" if stands.on == "disk" else "tmpfs"
            moved = measure(f"Loading and copying 285 MB, on {on}",
                            f"One layer of some 10,000 files, uncompressed. {SYNCED}",
                            speed.images(stands, rounds if not disk else max(5, rounds // 2)))  # fmt: skip
            figures += against(f"load, on {on}", moved, f"{LOCAL} load`", {"docker": 2, "podman": 2})
            if disk:
                synced = {f"{peer} {speed.SYNCED_LOAD}`": 2.0 for peer in ("docker", "podman")}
                figures += against(f"load, on {on}", moved, f"{LOCAL} load`", synced)
            figures += against(f"load through SSH, on {on}", moved, "`jackstay load`", {"docker": 1.3, "podman": 1.3})
            saved = measure(f"Saving 285 MB, on {on}", "The same image, to a file.",
                            saving(stands, rounds if not disk else max(5, rounds // 2)))  # fmt: skip
            figures += against(f"save, on {on}", saved, f"{LOCAL} save`", {"docker": 2})
            made = measure(f"Committing 500 changed files, on {on}", "A container of the same image, stopped.",
                           commits(stands, rounds if not disk else max(5, rounds // 2)))  # fmt: skip
            figures += against(f"commit of 500 files, in the agent, on {on}", made, "the agent's part", {"docker": 2})
            figures += against(f"commit of 500 files, on {on}", made, f"{LOCAL} commit`", {"docker": 2})
            if not disk:
                figures += _of_one_host(stands, rounds, measure)
    return figures, sections


def _of_one_host(
    stands: Scene, rounds: int, measure: Callable[[str, str, Sequence[Series]], Sequence[Series]]
) -> list[Figure]:
    """What does not depend on the disk."""
    listed = measure("Listing 1,000 images", "Asked on a connection that stands, and as whole commands.",
                     listing(stands, 3 * rounds))  # fmt: skip
    measure("Starting", "Whole commands, as a shell starts them.", speed.starting(stands, 3 * rounds))
    measure("A call", "The agent's version, asked for again and again on one connection.", speed.calls(stands, 300))
    return against("listing 1,000 images, in the agent", listed, "`jackstay's agent`", {"docker": 1})


def containers(rounds: int) -> tuple[list[Figure], list[str]]:
    """Running, executing and starting many: the figures, and the sections that they come from."""
    with scene(IMAGE) as stands:
        runs, execs, many = running.running(stands, 2 * rounds)
    sections = [
        report.speed("Running a container", "`true` of busybox, on a bridge where nothing else is said.", runs),
        report.speed("Running a command in a container", "`true` of busybox.", execs),
        report.speed(f"Starting {running.AT_ONCE} containers", "They were created before.", many),
    ]
    figures = [
        *against("run --rm, in the agent", runs, running.IN_AGENT, {"docker": 1 / 0.3}),
        *against("run --rm", runs, f"{LOCAL} run", {"docker": 1 / 0.8}),
        *against("exec, in the agent", execs, running.EXEC_IN_AGENT, {"docker": 2}),
        *against(f"{running.AT_ONCE} starts at once, in the agent", many, running.STARTS_IN_AGENT, {"docker": 2}),
        *against(f"start of {running.AT_ONCE}", many, f"{LOCAL} start", {"docker start` of": 2}),
    ]
    return figures, sections


def of_registries(rounds: int) -> tuple[list[Figure], list[str]]:
    """Pulling and pushing: the figures, and the sections that they come from."""
    with scene(IMAGE) as stands:
        measured = registries.registries(stands, max(5, rounds // 2))
    sizes = ", ".join(f"{who} {size / 1e6:.1f} MB" for who, size in measured.pushed.items())
    taken = [
        (command, process, one)
        for command, watched in measured.memory.items()
        for process, one in (("agent", watched.one), ("controller", watched.controller))
    ]
    sections = [
        report.speed(
            "Pulling 285 MB", "From Debian's registry on the same machine; the layer is gzip.", measured.pulls
        ),
        report.speed("Pushing 285 MB", f"To the same registry, empty. What it has then: {sizes}.", measured.pushes),
        "\n".join(["## Memory of a pull and a push of 285 MB", "", *report.memory_rows(taken), ""]),
    ]
    figures = [
        *against("pull", measured.pulls, registries.PULL, {"docker": 1.5, "podman": 1.5}),
        *against("push", measured.pushes, registries.PUSH, {"docker": 5}),
    ]
    return figures, sections


def resting() -> str:
    """What containers leave in the agent's memory, and on its host."""
    with scene(IMAGE) as stands:
        text = report.resting(*at_rest(stands))
    print(text)
    return text


def memory() -> str:
    """Everything that moves a layer of 1 GB, and loading one of 4 GB; once each."""
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
    with scene(LARGER, disk=True) as stands:
        archive = big_archive(stands, "larger:1", LARGER)
        loaded = watch(stands, "-H", "web1", "load", "-q", "-i", archive)
        rows += [("load, 4 GB layer", "agent", loaded.one), ("load, 4 GB layer", "controller", loaded.controller)]
    text = report.memory(rows, AGENT) + "\n" + report.at_rest(rest["agent"])
    print(text)
    return text


if __name__ == "__main__":
    main()
