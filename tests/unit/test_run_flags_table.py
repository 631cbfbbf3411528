"""The table of run flags is what the code says, and every flag in it is shown by a test."""

from __future__ import annotations

from jackstay.cli.container_flags import ContainerFlags
from tests import run_flags_table


def test_the_document_is_up_to_date() -> None:
    written = run_flags_table.DOCUMENT.read_text(encoding="utf-8")
    assert written == run_flags_table.document(), "run: python -m tests.run_flags_table"


def test_every_flag_is_in_it_and_shown() -> None:
    flags = run_flags_table.flags()
    names = {flag.names[0].removeprefix("--").replace("-", "_") for flag in flags}
    assert names == {*ContainerFlags._fields, "detach", "detach_keys", "sig_proxy"}
    texts = run_flags_table.tests()
    assert [flag for flag in flags if not run_flags_table.shown_by(flag, texts)] == []
