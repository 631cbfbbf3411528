"""``--format`` on every command that lists or inspects: its fields, its titles, its errors."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jackstay.cli.output import headings
from jackstay.cli.output.formatted import render_template
from jackstay.cli.output.objects import (
    container_object,
    history_object,
    image_object,
    network_object,
    secret_object,
    usage_object,
    volume_object,
)
from jackstay.cli.output.template import parse_template
from jackstay.client import messages


@pytest.fixture
def loaded(jackstay: Any, archive: Path) -> Any:
    """``app:1`` on every host, a running container ``srv`` on each."""
    assert jackstay("copy", f"docker-archive:{archive}", "@web::").code == 0
    assert jackstay("-H", "@web", "run", "-d", "--name", "srv", "--label", "tier=a,b", "app:1", "serve").code == 0
    return jackstay


LISTINGS: list[tuple[dict[str, Any], headings.Titles]] = [
    (container_object(messages.ContainerSummary(), 0), headings.CONTAINER),
    (image_object(messages.ImageSummary(), 0), headings.IMAGE),
    (history_object(messages.HistoryEntry(), 0), headings.HISTORY),
    (volume_object(messages.Volume()), headings.VOLUME),
    (network_object(messages.NetworkSummary()), headings.NETWORK),
    (secret_object(messages.Secret(), 0), headings.SECRET),
    (usage_object(messages.DiskUsage()), headings.USAGE),
]


@pytest.mark.parametrize(("item", "titles"), LISTINGS)
def test_a_listings_fields_are_those_of_its_titles(item: dict[str, Any], titles: headings.Titles) -> None:
    assert sorted(item) == sorted(set(titles) - {"Label"})
    assert ("Label" in titles) == (getattr(item, "labels", None) is not None)
    template = parse_template(r"table " + r"\t".join(f"{{{{.{name}}}}}" for name in sorted(item)))
    text = render_template(template, [("web1", [item])], titles, several=False).text
    assert text.splitlines()[0].split("   ")[0].strip() == titles[min(item)]


COMMANDS: list[tuple[list[str], str]] = [
    (["ps", "--format", '{{.Names}} {{.Label "tier"}} {{.Command | len}}'], "srv a,b 7\n"),
    (["ps", "--format", r"table {{.Names}}\t{{.RunningFor}}\t{{.State}}", "-q"], "NAMES   CREATED"),
    (["ps", "--format", "{{if eq .State `running`}}{{.Names | upper}}{{end}}"], "SRV\n"),
    (["ps", "--no-trunc", "--format", "{{len .ID}}"], "64\n"),
    (["ps", "--format", "{{len .ID}}"], "12\n"),
    (["images", "--format", "{{.Repository}}:{{.Tag}} {{.Size}} {{.VirtualSize}}"], "app:1 "),
    (["images", "--format", r"table {{.ID}}\t{{.CreatedSince}}"], "IMAGE ID       CREATED"),
    (["history", "--format", "{{.CreatedBy}}|{{.Size}}", "app:1"], "COPY . /|1.23kB\n"),
    (["history", "--format", "table {{.ID}}", "app:1"], "IMAGE\naaaaaaaaaaaa\n"),
    (["volume", "ls", "--format", '{{.Name}} {{.Label "a"}} {{.Labels}}'], "data 1 a=1\n"),
    (["volume", "ls", "--format", "table {{.Name}}"], "VOLUME NAME\ndata\n"),
    (["volume", "inspect", "-f", '{{index .Labels "a"}}{{index .Labels "b"}}{{.Options}}', "data"], "1map[]\n"),
    (
        ["network", "ls", "--format", "{{.Name}} {{.IPv6}} {{.Internal}} {{.CreatedAt}}"],
        "bridge false false 2023-11-14 22:13:20 +0000 UTC\n",
    ),
    (["network", "inspect", "-f", "{{.Name}} {{.ID}}", "bridge"], f"bridge {'b' * 64}\n"),
    (["system", "df", "--format", "{{.Type}}: {{.TotalCount}} {{.Active}}"], "Images: 2 1\n"),
    (["version", "-f", "{{.Server.Version}} {{.Server.Os}}/{{.Server.Arch}}"], "0.1.0 linux/amd64\n"),
    (
        ["version", "-f", "{{range .Server.Components}}{{.Name}} {{.Version}},{{end}}"],
        "jackstayd 0.1.0,crun 1.8.1,\n",
    ),
    (["info", "-f", r"{{.Name}}\t{{.Containers}}"], "web1\\t1\n"),
    (["inspect", "-f", "{{.State.Status}}{{range .Config.Cmd}} {{.}}{{end}}", "srv"], "running serve\n"),
    (["inspect", "-f", "{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}", "srv"], "none\n"),
    (
        ["image", "inspect", "-f", "{{json .Config}} {{index .RepoTags 0}}", "app:1"],
        '{"Cmd":["sh"],"Tty":false} app:1\n',
    ),
    (["container", "inspect", "-f", "{{.ID}}{{/* and no more */}}", "srv"], ""),
    (["host", "ls", "--format", "{{.Name}} {{.Address}}", "web1"], "web1 192.0.2.1\n"),
    (["host", "ls", "--format", r"table {{.Host}}\t{{.Sudo}}", "web1"], "HOST   SUDO\nweb1   false\n"),
    (["host", "check", "--format", "{{.Version}}", "web1"], "0.1.0\n"),
    (["ps", "--format", "json"], '{"Command":"\\"serve\\"",'),
    (["ps", "--format", "table"], "CONTAINER ID   IMAGE"),
]
"""Command lines and what they print; without an end of line, how it begins."""


def test_every_command_has_it(loaded: Any) -> None:
    loaded("-H", "web1", "volume", "create", "--label", "a=1", "data")
    for arguments, text in COMMANDS:
        result = loaded(*([] if arguments[0] == "host" else ["-H", "web1"]), *arguments)
        assert (result.code, result.err) == (0, ""), arguments
        assert (result.out if text.endswith("\n") else result.out[: len(text)]) == text, arguments


def test_this_side_of_version(loaded: Any) -> None:
    from importlib.metadata import version

    result = loaded("-H", "web1", "version", "--format", "{{.Client.Version}} {{.Client.ApiVersion}} {{.Client.Os}}")
    assert result.out == f"{version('jackstay')} 1 linux\n"


def test_sizes_are_asked_for_when_the_template_shows_them(loaded: Any) -> None:
    assert loaded("-H", "web1", "ps", "--format", "{{.Size}}").out == "4.1kB (virtual 5MB)\n"
    assert json.loads(loaded("-H", "web1", "ps", "--format", "json").out)["Size"] == "0B"


def test_json_is_a_line_an_object_with_its_host(loaded: Any) -> None:
    lines = loaded("-H", "web[1-2]", "ps", "--format", "json").out.splitlines()
    assert [json.loads(line)["Host"] for line in lines] == ["web1", "web2"]


def test_a_table_of_several_hosts_has_their_column(loaded: Any) -> None:
    assert loaded("-H", "web[1-2]", "ps", "--format", r"table {{.Names}}\t{{.State}}").out == (
        "HOST   NAMES   STATE\nweb1   srv     running\nweb2   srv     running\n"
    )
    assert loaded("-H", "web[1-2]", "ps", "--format", r"table {{.Names}}\t{{.Host}}").out == (
        "NAMES   HOST\nsrv     web1\nsrv     web2\n"
    )
    assert loaded("-H", "web1", "ps", "--format", r"table {{.Names}}").out == "NAMES\nsrv\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ps", "--format", "{{.Nmaes}}"], "unknown field .Nmaes, did you mean .Names or .Image? at character 3"),
        (["images", "--format", "{{.ID}} {{.Repo}}"], "unknown field .Repo"),
        (["history", "--format", "{{if .Sise}}{{end}}", "app"], "did you mean .Size?"),
        (["volume", "ls", "--format", "{{range .Names}}{{end}}"], "did you mean .Name?"),
        (["network", "ls", "--format", "{{$.Gatway}}"], "did you mean .Gateway?"),
        (["system", "df", "--format", "{{json .Total}}"], "did you mean .TotalCount?"),
        (["host", "ls", "--format", "{{.Names}}"], "did you mean .Name?"),
        (["inspect", "-f", "{{.Id", "srv"], "'{{' is not closed, at character 1"),
        (["version", "-f", "{{uper .Version}}"], "there is no function 'uper'"),
        (["info", "-f", "{{len}}"], "len takes 1 value, not 0"),
    ],
)
def test_what_is_wrong_is_told_before_any_host_is_asked(jackstay: Any, arguments: list[str], message: str) -> None:
    result = jackstay(*([] if arguments[0] == "host" else ["-H", "down"]), *arguments)
    assert result.code == 2
    assert result.err.startswith("Error: --format: ")
    assert message in result.err
    assert result.out == ""


def test_an_object_that_the_template_does_not_fit_is_an_error_beside_the_others(loaded: Any) -> None:
    result = loaded("-H", "web[1-2]", "inspect", "-f", "{{.Host}} {{index .RepoTags 0}}", "srv", "app:1")
    assert (result.code, result.out) == (1, "web1 app:1\nweb2 app:1\n")
    assert result.err.splitlines()[0].startswith("Error: web1: --format: unknown field .RepoTags, at character 19")
    assert [line.split(":")[1] for line in result.err.splitlines() if line.startswith("Error")] == [" web1", " web2"]
    result = loaded("-H", "web1,down", "ps", "--format", "{{.Names.Foo}}")
    assert result.code == 4
    assert "no field .Foo of 'srv'" in result.err
    assert "down refused the connection" in result.err


def test_what_a_host_sends_does_not_drive_the_terminal_in_a_table() -> None:
    rows = [("web1", [{"Name": "a\x1b[31m\tb", "Size": "1"}])]
    template = parse_template(r"table {{.Name}}\n{{.Size}}")
    assert render_template(template, rows, {}, several=False).text == "NAME\nSIZE\na\\x1b[31m   b\n1\n"


def test_nothing_of_it_is_imported_without_a_template(home: Path) -> None:
    probe = """
import sys
from jackstay.cli.main import run
import jackstay.cli.ps, jackstay.cli.images, jackstay.cli.inspect, jackstay.cli.info, jackstay.cli.output.objects
code = run(["host", "ls"])
print([name for name in sys.modules if name.startswith("jackstay.cli.output.template")], file=sys.stderr)
sys.exit(code)
"""
    result = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert result.stderr.splitlines()[-1] == "[]"
