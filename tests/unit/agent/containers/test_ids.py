from __future__ import annotations

import re

from jackstay_agent.containers import creating, ids


def test_ids_are_64_digits_and_differ() -> None:
    made = {ids.new_id() for _ in range(50)}
    assert len(made) == 50
    assert all(re.fullmatch(r"[0-9a-f]{64}", text) for text in made)


def test_names_are_valid_and_avoid_those_taken() -> None:
    taken: set[str] = set()
    for _ in range(300):
        name = ids.new_name(taken)
        assert name not in taken
        assert creating.check_name(name) == name
        taken.add(name)


def test_when_every_name_is_taken_there_is_still_one() -> None:
    class Everything:
        def __contains__(self, _name: object) -> bool:
            return True

    assert len(ids.new_name(Everything())) == 64
