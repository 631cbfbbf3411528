"""What ``registry expose`` tells people to type."""

from __future__ import annotations

from jackstay.cli.registry_expose import advice
from jackstay.library.sources import parse_endpoint


def test_the_advice_names_commands_that_work() -> None:
    lines = [line.strip() for line in advice("web1", "127.0.0.1:5000")]
    assert "docker tag app:1 127.0.0.1:5000/app:1 && docker push 127.0.0.1:5000/app:1" in lines
    assert "docker save app:1 | jackstay -H web1 load" in lines
    for copy in (line for line in lines if line.startswith("jackstay copy ")):
        for endpoint in copy.split()[2:]:
            parse_endpoint(endpoint)
