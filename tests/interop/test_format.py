"""``--format``: the same templates give the same text here and in real clients of docker, which are written in Go."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from jackstay.cli.output import headings
from jackstay.cli.output.go_values import Row
from jackstay.cli.output.template import EvaluationError, TemplateError, parse_template
from tests.interop.docker import Docker
from tests.interop.engines import DEBIANS, Engines
from tests.interop.jackstay import Jackstay
from tests.interop.one_container import one_container
from tests.interop.originals import Original

CASES = Path(__file__).parents[1] / "unit/controller/cli/template"
PRINTED: list[tuple[str, str]]
PRINTED, REFUSED = json.loads((CASES / "docker.json").read_text()).values()
DOCUMENT: dict[str, Any] = json.loads((CASES / "document.json").read_text())
NEWER = ("else with", "range 3", "range $i := 3")
"""What Go has only since 1.22 and 1.23."""
ALONE = (
    "index .NetworkSettings.Ports",
    "range .HostConfig.PidsLimit",
    "eq .Config.Entrypoint .Config",
    'eq .Config.Entrypoint "a"',
)
"""What docker can print of the raw JSON only, where no field that is not there has a value."""
FIELD = re.compile(r"""(?<![\w"])\.[A-Z]|\$\.|\(\$""")
MARK, END = "\x1e", "\x1d"
SOCKET = "unix:///run/docker.sock"


def ask(docker: Docker, *argv: str, address: str = SOCKET) -> str:
    return docker.peer.run("docker", "-H", address, *argv)


def labelled(templates: list[str]) -> str:
    """One template of many, their texts parted by marks."""
    return MARK.join(templates)


@pytest.mark.parametrize("debian", DEBIANS)
def test_a_documents_templates(engines: dict[str, Engines], exchange: Path, debian: str) -> None:
    docker = engines[debian].docker
    cases = [case for case in PRINTED if not any(part in case[0] for part in (*NEWER, *ALONE))]
    assert len(cases) > 100
    template = labelled([f"{{{{/**/}}}}{case[0]}{{{{/**/}}}}" for case in cases])
    with one_container(exchange / f"{debian}.sock", json.dumps(DOCUMENT)) as address:
        theirs = ask(docker, "container", "inspect", "--format", template, "app", address=address)
        alone = [case[0] for case in PRINTED if any(part in case[0] for part in ALONE)]
        theirs_alone = [ask(docker, "container", "inspect", "-f", each, "app", address=address) for each in alone]
    ours = parse_template(template, listing=False).render(DOCUMENT)
    assert ours.split(MARK) == theirs.removesuffix("\n").split(MARK)
    assert ours.split(MARK) == [text for _, text in cases]
    assert [parse_template(each, listing=False).render(DOCUMENT) + "\n" for each in alone] == theirs_alone


@pytest.mark.parametrize("debian", DEBIANS)
def test_podman_prints_the_same(engines: dict[str, Engines], debian: str) -> None:
    """Templates without fields, whose object may be anything."""
    cases = [case for case in PRINTED if not FIELD.search(case[0]) and not any(part in case[0] for part in NEWER)]
    assert len(cases) > 50
    template = labelled([f"{{{{/**/}}}}{case[0]}{{{{/**/}}}}" for case in cases])
    theirs = engines[debian].podman.version_by(template)
    assert theirs.removesuffix("\n").split(MARK) == [text for _, text in cases]


def test_what_one_refuses_the_other_does(engines: dict[str, Engines], exchange: Path) -> None:
    docker = engines["debian13"].docker
    some = REFUSED[::4]
    assert len(some) > 20
    command = 'while IFS= read -r each; do docker -H "$0" container inspect -f "$each" app >&2 || echo refused; done'
    lines = exchange / "refused"
    lines.write_text("".join(f"{each}\n" for each in some))
    with one_container(exchange / "refusing.sock", json.dumps(DOCUMENT)) as address:
        said = docker.peer.run("sh", "-c", f"{{ {command}; }} 2>&1 | grep -c '^refused$'", address, stdin=lines)
    assert int(said) == len(some), shlex.quote(said)
    for template in some:
        with pytest.raises((TemplateError, EvaluationError)):
            parse_template(template, listing=False).render(DOCUMENT)


LISTED = [
    *("{{.%s}}", "{{json .%s}}", "{{upper .%s}}", "{{.%s | lower | title}}", "{{len .%s}}", '{{printf "%%q" .%s}}'),
    *('{{range split .%s ","}}[{{.}}]{{end}}', "{{truncate .%s 5}}", "{{pad .%s 1 2}}|", '{{printf "%%-12s|" .%s}}'),
    *('{{if eq .%s "app"}}yes{{else}}no{{end}}', "{{with .%s}}{{.}}{{else}}none{{end}}", "{{slice .%s 0 0}}"),
    *('{{join (split .%s ",") "+"}}', '{{- " " -}}{{.%s}}', r"\t{{.%s}}\n", "{{html .%s}}{{js .%s}}{{urlquery .%s}}"),
]


@pytest.mark.parametrize("debian", DEBIANS)
@pytest.mark.parametrize(
    ("command", "titles", "newer"),
    [
        ("ps --all --no-trunc", headings.CONTAINER, {"HealthStatus", "Platform"}),
        ("images", headings.IMAGE, {"VirtualSize", "Labels"}),
        ("history made:1", headings.HISTORY, set()),
        ("volume ls", headings.VOLUME, set()),
        ("network ls", headings.NETWORK, {"Subnet", "Gateway"}),
        ("system df", headings.USAGE, set()),
    ],
)
def test_a_listings_templates_and_titles(
    format_scene: dict[str, Docker], debian: str, command: str, titles: headings.Titles, newer: set[str]
) -> None:
    docker, argv = format_scene[debian], command.split()
    fields = [name for name in titles if name not in newer | {"Label"}]
    header = r"\t".join(f"{{{{.{name}}}}}" for name in fields)
    first = ask(docker, *argv, "--format", f"table {header}").splitlines()[0]
    assert [part.strip() for part in first.split("   ") if part.strip()] == [titles[name] for name in fields]

    template = labelled([each.replace("%s", name).replace("%%", "%") for name in fields for each in LISTED])
    parsed = parse_template(template)
    parsed.check_fields(titles)
    for attempt in range(3):  # since ages are told by the second, and one may end between docker's two answers
        rows = ask(docker, *argv, "--format", f"{{{{json .}}}}{MARK}{template}{END}").split(f"{END}\n")
        assert rows.pop() == ""
        assert rows
        parts = [row.partition(MARK) for row in rows]
        ours = [parsed.render(Row(json.loads(object_))).split(MARK) for object_, _, _ in parts]
        theirs = [told.split(MARK) for _, _, told in parts]
        if ours == theirs:
            break
        assert attempt < 2 or ours == theirs


@pytest.fixture(scope="module")
def format_scene(engines: dict[str, Engines], root_tar: Path) -> dict[str, Docker]:
    """Both dockers with images, a container and a volume."""
    for each in engines.values():
        each.docker.empty()
        each.docker.import_tar(root_tar, "imported:1")
        ask(each.docker, "tag", "imported:1", "made:1")
        ask(each.docker, "volume", "create", "--label", "tier=db", "data")
        labels = ("--label", "com.example.tier=front, <1>&'2'")  # one: docker lists several in any order
        ask(
            each.docker,
            "create",
            "--name",
            "app",
            *labels,
            "-v",
            "data:/data",
            "--network=none",
            "imported:1",
            "/bin/sh",
        )
    return {name: each.docker for name, each in engines.items()}


@pytest.mark.parametrize("debian", DEBIANS)
def test_labels_by_name(format_scene: dict[str, Docker], debian: str) -> None:
    docker = format_scene[debian]
    template = r'{{.Label "com.example.tier"}}|{{.Label "none"}}|{{"com.example.tier" | .Label}}'
    row = Row({"Names": "app"}, {"com.example.tier": "front, <1>&'2'"})
    assert ask(docker, "ps", "-a", "--format", template) == parse_template(template).render(row) + "\n"
    header = ask(docker, "ps", "-a", "--format", r'table {{.Names}}\t{{.Label "com.example.the-tier"}}').splitlines()[0]
    ours = parse_template(r'table {{.Names}}\t{{.Label "com.example.the-tier"}}').header(headings.CONTAINER)
    assert [part.strip() for part in header.split("   ") if part.strip()] == ours.split("\t")


IMAGE_TEMPLATE = labelled(
    [
        *("{{.ID}}", "{{.Os}}/{{.Architecture}}", "{{json .Config.Cmd}}", "{{.Config.Entrypoint}}", "{{.Config.Env}}"),
        *("{{range .RootFS.Layers}}{{.}} {{end}}", "{{len .RootFS.Layers}}", "{{.RootFS.Type}}", "{{.Config.Volumes}}"),
        *("{{.Config.Labels}}", '{{index .Config.Labels "none"}}', "{{.Config.WorkingDir}}", "{{.Config.User}}"),
        *("{{range $p, $_ := .Config.ExposedPorts}}{{$p}}{{end}}", "{{.Config.StopSignal}}", "{{.Config.OnBuild}}"),
        *("{{if .Config.Healthcheck}}checked{{else}}not{{end}}", "{{.Author}}", "{{index .RepoTags 0}}"),
    ]
)


def test_an_image_is_described_alike(original: Original, jackstay: Jackstay) -> None:
    jackstay.load(original.together)
    original.docker.load(original.together)
    for name in original.ids:
        theirs = ask(original.docker, "image", "inspect", "--format", IMAGE_TEMPLATE, name)
        assert jackstay.run("image", "inspect", "--format", IMAGE_TEMPLATE, name).split(MARK) == theirs.split(MARK)


CONTAINER_TEMPLATE = labelled(
    [
        *("{{.ID}}", "{{.Name}}", "{{.State}}", "{{.State.Status}} {{.State.Pid}}", "{{.Config.Cmd}} {{.Config.Env}}"),
        *("{{.Mounts}}", "{{range .Mounts}}{{.Name}}:{{.Destination}} {{.RW}}{{end}}", "{{json .Mounts}}", "{{.Args}}"),
        *(
            "{{.Config.Labels}}",
            "{{json .Config.Labels}}",
            '{{index .Config.Labels "none"}}',
            "{{.Config.Labels.none}}",
        ),
        *("{{.HostConfig.Binds}} {{.HostConfig.RestartPolicy}} {{.HostConfig.LogConfig}}", "{{.HostConfig.PidsLimit}}"),
        *("{{.HostConfig.DNS}} {{.HostConfig.CapAdd}} {{.HostConfig.Devices}}", "{{.HostConfig.Init}}", "{{.SizeRw}}"),
        *("{{.HostConfig.Sysctls}} {{.HostConfig.Tmpfs}} {{.HostConfig.Mounts}}", "{{.HostConfig.PortBindings}}"),
        *("{{.HostConfig.NanoCPUs}} {{.HostConfig.CPUShares}} {{.HostConfig.Memory}}", "{{.NetworkSettings.Ports}}"),
        *("{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}", "{{len .NetworkSettings.Networks}}"),
        *("{{.Config.Volumes}} {{.Config.ExposedPorts}} {{.Config.Entrypoint}}", "{{.Config.StopSignal}}", "{{.Path}}"),
        *("{{with .State.Health}}{{.Status}}{{else}}no check{{end}}", "{{.Config.Healthcheck}}", "{{.RestartCount}}"),
        *("{{json .Config}}", "{{json .State}}", "{{json .HostConfig.RestartPolicy}}", "{{json .Args}}"),
    ]
)


@pytest.mark.parametrize("debian", DEBIANS)
def test_a_real_containers_document(format_scene: dict[str, Docker], debian: str) -> None:
    docker = format_scene[debian]
    (document,) = json.loads(ask(docker, "container", "inspect", "app"))
    theirs = ask(docker, "container", "inspect", "--format", CONTAINER_TEMPLATE, "app").removesuffix("\n")
    ours = parse_template(CONTAINER_TEMPLATE, listing=False).render(document)
    assert ours.split(MARK) == theirs.split(MARK)


PS_TEMPLATE = labelled(
    [
        *("{{.Names}}", "{{.Image}}", "{{.Command}}", "{{.State}}", "{{.Status}}", "{{.Labels}}", "{{.Networks}}"),
        *('{{.Label "com.example.tier"}}', "{{.Mounts}}", "{{.LocalVolumes}}", "{{.Ports}}", "{{len .ID}}"),
    ]
)


def test_a_container_is_listed_alike(original: Original, jackstay: Jackstay) -> None:
    docker = original.docker
    docker.load(original.together)
    jackstay.load(original.together)
    options = ["create", "--name", "app", "--label", "com.example.tier=front", "-v", "data:/data", "--network", "none"]
    command = [*options, "imported:1", "/bin/sh", "-c", "sleep 1000 && exit 1"]
    ask(docker, *command)
    jackstay.run(*command)
    listed = ["ps", "--all", "--format", PS_TEMPLATE]
    assert jackstay.run(*listed).split(MARK) == ask(docker, *listed).split(MARK)
