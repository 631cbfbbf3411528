"""``jackstayd``: the command line of the agent. Imports little, so that the spawner is forked before gRPC exists."""

from __future__ import annotations

import argparse
import os
import sys

from jackstay_agent import __version__, config, faults
from jackstay_agent.errors import Error

CONFIG = "/etc/jackstay/jackstayd.toml"


def main() -> None:
    """Run the agent until SIGTERM, or one of the small commands."""
    parser = argparse.ArgumentParser(
        prog="jackstayd",
        description="The agent of jackstay: keeps images and runs containers on this host.",
        epilog="examples:\n  jackstayd\n  jackstayd --config /etc/jackstay/jackstayd.toml\n  jackstayd dial-stdio\n"
        "  jackstayd remove-rules   # packet filter rules that stay when the agent has been stopped for good",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = ["serve", "dial-stdio", "remove-rules"]
    parser.add_argument("command", nargs="?", choices=commands, default="serve", help="serve by default")
    parser.add_argument("--config", metavar="FILE", help=f"settings (default: {CONFIG} when it exists)")
    parser.add_argument("--socket", metavar="PATH", help="the agent's socket, for dial-stdio (default: as configured)")
    parser.add_argument("--registry", action="store_true", help="for dial-stdio: the registry's socket beside that one")
    parser.add_argument(
        "--stop-when-idle",
        metavar="SECONDS",
        type=float,
        help="stop after so long without a call and a running container: for an agent that was started on demand",
    )
    parser.add_argument("--version", action="version", version=f"jackstayd {__version__}")
    arguments = parser.parse_args()
    try:
        settings = config.load(arguments.config or (CONFIG if os.path.exists(CONFIG) else None))
        if arguments.command == "dial-stdio":
            from jackstay_agent.daemon import dial_stdio
            from jackstay_agent.registry_server import place

            own = arguments.socket or settings.socket
            sys.exit(dial_stdio.dial(place.beside(own) if arguments.registry else own))
        if os.geteuid() != 0:
            raise Error("jackstayd must run as root", hint="start it with systemctl or sudo")
        if arguments.command == "remove-rules":
            from jackstay_agent.daemon import remove_rules

            remove_rules.remove()
            return
        os.umask(0o077)
        faults.remember_agent()
        # structlog loads rich for tracebacks in colours, which the agent does not write: a tenth of its start.
        sys.modules["rich"] = None  # type: ignore[assignment]
        from jackstay_agent.daemon.jobs import MODULES
        from jackstay_agent.kernel import memory, spawner

        jobs = spawner.start(MODULES)
        memory.keep_freed_pieces()
        from jackstay_agent.daemon import serve

        serve.run(settings, jobs, idle=arguments.stop_when_idle)
    except Error as error:
        sys.stderr.write(f"Error: {error.message}\n")
        if error.hint:
            sys.stderr.write(f"{error.hint}\n")
        sys.exit(1)
