"""The entry of the ``jackstay`` command: the one place that catches errors, prints them and sets the exit code.

Commands return an exit code; errors that reach this file stopped the command before it had outcomes of hosts to tell.
Nothing heavy (gRPC, SSH, rich) is imported before a command needs it.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from jackstay_oci.errors import Error

_OBJECTS = 30_000
"""How many more objects there are before Python looks for circles among them, in place of 700: the imports alone make
more than a hundred thousand, and no circle."""

USAGE = 2
UNREACHABLE = 4
INTERRUPTED = 130
BROKEN_PIPE = 141
"""What a shell reports for a program that SIGPIPE ended."""


def main() -> NoReturn:
    """Run the command of this process's arguments and exit."""
    gc.set_threshold(_OBJECTS)
    _open_standard_streams()
    code = run(sys.argv[1:])
    # Everything has been closed and written. Python would take apart all that was imported, which takes as long as a
    # tenth of a short command.
    with contextlib.suppress(OSError):  # nobody reads it any more
        sys.stderr.flush()
    os._exit(code)


def _open_standard_streams() -> None:
    """Open descriptors 0, 1 and 2 that the caller has closed: else a socket would take the number of the output."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115  # for the whole process


def run(arguments: Sequence[str]) -> int:
    """Run one command line; the exit code."""
    if arguments and arguments[0] in ("--version", "-v"):
        from importlib.metadata import version

        print(f"jackstay version {version('jackstay')}")
        return 0
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output is gone; Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
            raise
        print_error(f"the output cannot be written: {error.strerror}")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def _run(arguments: Sequence[str]) -> int:
    import typer

    from jackstay.cli.commands import ROOT
    from jackstay.cli.lazy import build_root

    if "_JACKSTAY_COMPLETE" in os.environ:
        from typer.main import get_install_completion_arguments

        get_install_completion_arguments()  # makes the shells known
    try:
        result = build_root(ROOT).main(args=list(arguments), prog_name="jackstay", standalone_mode=False)
    except typer.Abort:
        return INTERRUPTED
    except typer.TyperException as error:
        error.show() if hasattr(error, "show") else print_error(error.format_message())
        return error.exit_code
    except Error as error:
        print_error(error.message, error.hint)
        return _exit_code(error)
    return result if isinstance(result, int) else 0


def _exit_code(error: Error) -> int:
    """What an error means that no host's outcome carries: the controller's own words are usage errors."""
    from jackstay.errors import Unreachable

    if isinstance(error, Unreachable):
        return UNREACHABLE
    return USAGE if error.reason in ("USAGE", "INVALID_ARGUMENT", "INVALID_REFERENCE", "INVALID_DIGEST") else 1


def print_error(message: str, hint: str = "") -> None:
    """``Error: …`` on stderr, and the hint on a line of its own."""
    from jackstay.cli.color import use_color
    from jackstay.cli.output.units import printable

    word = "\x1b[31mError:\x1b[0m" if use_color(sys.stderr) else "Error:"
    print(f"{word} {printable(message)}", file=sys.stderr)
    if hint:
        print(f"Hint: {printable(hint)}", file=sys.stderr)


def print_warning(message: str) -> None:
    """``WARNING: …`` on stderr."""
    from jackstay.cli.output.units import printable

    print(f"WARNING: {printable(message)}", file=sys.stderr)


if __name__ == "__main__":
    main()
