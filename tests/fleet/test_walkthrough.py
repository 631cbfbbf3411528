"""The walkthrough as a test: the same steps as `make demo`, whose checks are in tests/demo/steps.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.demo import base, steps
from tests.demo.story import Story
from tests.lab.lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]


def test_the_walkthrough(lab: Lab, tmp_path: Path) -> None:
    story = Story(lab, base.busybox(tmp_path), tmp_path, say=print)
    steps.walk(story)
    assert story.checks > 50
