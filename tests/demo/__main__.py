"""``python -m tests.demo``: the walkthrough, narrated, on three hosts that are gone afterwards."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.demo import base, steps
from tests.demo.story import Story
from tests.lab.errors import LabError
from tests.lab.lab import Lab

BASES = {"busybox": base.busybox, "debian": base.debian}


def main() -> int:
    """Walk through; 1 when a check fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.demo", description=__doc__)
    parser.add_argument("--base", choices=BASES, default="busybox", help="the image that it begins with (busybox)")
    arguments = parser.parse_args()
    started = time.monotonic()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell's background jobs have it; commands inherit that
        signal.signal(signal.SIGINT, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="jackstay-demo-") as folder:
        made = BASES[arguments.base](Path(folder))
        try:
            with Lab(3) as lab:
                story = Story(lab, made, Path(folder), say=lambda text: print(text, flush=True))
                hosts = ", ".join(f"{host.name} ({host.address})" for host in lab.hosts.values())
                story.tell(f"Three hosts stand: {hosts}. Each has its own network, SSH server and agent.")
                steps.walk(story)
        except (AssertionError, LabError) as error:
            print(f"\nThe demo has failed: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130
    print(f"\nAll {story.checks} checks hold; {time.monotonic() - started:.0f} s. The hosts are gone.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
