"""Fuzzes with atheris, which sees what an input reaches: ``python -m tests.fuzz [--seconds N] [TARGET…]``.

Each target runs in a process of its own, begins with `corpus/`, and keeps what it finds in ``.cache/fuzz/TARGET``, so
that the next run goes on from there. An input that breaks a target is left in ``.cache/fuzz`` and named. To run the
target on it alone: ``python -m tests.fuzz TARGET FILE``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
FOUND = HERE.parents[1] / ".cache/fuzz"
_MEMORY_MB = 1024
_SLOWEST = 10  # seconds for one input


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz the readers of what others made.")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument(
        "words", nargs="*", help="targets, all when none is given; or one target and files to run it on"
    )
    options, rest = parser.parse_known_args()
    if options.one:
        return fuzz(options.one, [*rest, *options.words])
    from tests.fuzz.targets import TARGETS

    files = [word for word in options.words if word not in TARGETS]
    chosen = [word for word in options.words if word in TARGETS] or list(TARGETS)
    if missing := [word for word in files if not Path(word).is_file()]:
        parser.error(f"{missing[0]} is neither a file nor one of {', '.join(TARGETS)}")
    for file in files:
        TARGETS[chosen[0]](Path(file).read_bytes())
    if files:
        return 0
    broken = [target for target in chosen if run(target, options.seconds)]
    if broken:
        print(f"broken: {', '.join(broken)}; the inputs are in {FOUND}", file=sys.stderr)
    return bool(broken)


def run(target: str, seconds: int) -> int:
    """Fuzz *target* in a process of its own; its exit code."""
    found = FOUND / target
    found.mkdir(parents=True, exist_ok=True)
    print(f"fuzzing {target} for {seconds} s", flush=True)
    arguments = [
        f"-max_total_time={seconds}", f"-rss_limit_mb={_MEMORY_MB}", f"-timeout={_SLOWEST}", "-max_len=20000",
        f"-artifact_prefix={FOUND}/{target}-", "-print_final_stats=1", str(found), str(HERE / "corpus" / target),
    ]  # fmt: skip
    ended = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", f"--one={target}", *arguments], stderr=subprocess.PIPE, text=True,
        errors="replace",
    )  # fmt: skip
    told = [
        line for line in ended.stderr.splitlines() if line.startswith(("stat::number_of_executed", "stat::new_units"))
    ]
    print("\n".join(told if not ended.returncode else ended.stderr.splitlines()[-60:]), flush=True)
    return ended.returncode


def fuzz(target: str, arguments: list[str]) -> int:
    """Fuzz *target* in this process, as libFuzzer's *arguments* say; never returns."""
    import atheris  # type: ignore[import-not-found,unused-ignore]  # only `make fuzz` has it

    with atheris.instrument_imports(include=["jackstay_oci", "jackstay_agent"]):
        from tests.fuzz.targets import TARGETS
    atheris.Setup([sys.argv[0], *arguments], TARGETS[target])
    atheris.Fuzz()
    return os.EX_SOFTWARE


if __name__ == "__main__":
    sys.exit(main())
