"""Runs `kernel_containers.py`, whose tests need root, conmon, crun and runc, in a sandbox, and tells of each test.

They make cgroups, mounts, networks and processes; the sandbox has its own of each, so nothing of theirs can stay.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[3]
INNER = HERE / "kernel_containers.py"
NAMES = [node.name for node in ast.parse(INNER.read_text()).body if isinstance(node, ast.AsyncFunctionDef)]
TESTS = [name for name in NAMES if name.startswith("test_")]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[ElementTree.Element]]:
    """The test cases by function, and the run's whole output under ""."""
    report = tmp_path_factory.mktemp("kernel") / "report.xml"
    running = subprocess.Popen(
        [
            *(sys.executable, str(HERE / "sandbox.py"), "--", sys.executable, "-m", "pytest", str(INNER), "-q"),
            *("-p", "no:cacheprovider", f"--junitxml={report}", "-o", "junit_family=xunit2"),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        output, _ = running.communicate(timeout=480)
    finally:
        running.terminate()  # not kill: the sandbox cleans up after itself
        running.wait()
    print(output)
    found: dict[str, list[ElementTree.Element]] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        found.setdefault(case.attrib["name"].partition("[")[0], []).append(case)
    return found


@pytest.mark.timeout(500)
@pytest.mark.parametrize("name", TESTS)
def test_kernel(name: str, results: dict[str, list[ElementTree.Element]]) -> None:
    assert results[name], "it did not run"
    for case in results[name]:
        for child in case:
            assert child.tag not in ("failure", "error", "skipped"), f"{case.attrib['name']}\n{child.text}"
