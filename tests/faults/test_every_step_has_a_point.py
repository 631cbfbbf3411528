"""Every fsync, rename, commit, mount and spawn in the agent and the store has a fault point in the same function."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import jackstay_agent
import jackstay_oci.store

STEPS = {
    "fsync", "fdatasync", "syncfs", "rename", "renames", "replace", "renameat2",
    "mount", "umount", "move_mount", "pivot_root",
    "fork", "posix_spawn", "create_subprocess_exec", "Popen",
}  # fmt: skip
MODULES = {"os", "syscalls", "subprocess", "asyncio", "_libc"}
STATEMENTS = ("COMMIT",)

# What names a system call without making it, or ends a process's own view of mounts in a child that dies with it.
DEFINITIONS = {"kernel/syscalls.py"}


def sources() -> Iterator[tuple[str, ast.Module]]:
    for package in (jackstay_agent, jackstay_oci.store):
        root = Path(next(iter(package.__path__)))
        for path in sorted(root.rglob("*.py")):
            name = str(path.relative_to(root))
            if name not in DEFINITIONS:
                yield name, ast.parse(path.read_text())


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def steps_of(function: ast.AST) -> list[str]:
    found = []
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            if node.func.attr in STEPS and isinstance(owner, ast.Name) and owner.id in MODULES:
                found.append(f"{owner.id}.{node.func.attr}")
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.strip(" ;") in STATEMENTS:
            found.append(node.value)
    return found


def points_of(function: ast.AST) -> int:
    count = 0
    for node in ast.walk(function):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            arguments = [ast.unparse(argument) for argument in node.args]
            # A store's `fault` may also be handed on, with the point's name, to the function that makes the step.
            count += (
                name in ("faults.point", "fault", "self._fault") or "fault" in arguments or "self._fault" in arguments
            )
    return count


def test_every_step_has_a_point() -> None:
    naked = [
        f"{name}:{function.lineno} {function.name}: {', '.join(steps)}"
        for name, tree in sources()
        for function in functions(tree)
        if (steps := steps_of(function)) and not points_of(function)
    ]
    assert naked == []


def test_the_search_finds_a_naked_step() -> None:
    tree = ast.parse(
        "import os\ndef naked(fd):\n    os.fsync(fd)\ndef covered(fd):\n    os.fsync(fd)\n    faults.point('x')\n"
    )
    found = {function.name: (steps_of(function), points_of(function)) for function in functions(tree)}
    assert found == {"naked": (["os.fsync"], 0), "covered": (["os.fsync"], 1)}
