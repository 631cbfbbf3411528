"""Merging settings over an image's config, against docker's rules."""

from __future__ import annotations

import pytest

from jackstay_agent.containers import process
from jackstay_agent.containers.settings import Mount, Port
from jackstay_agent.errors import InvalidArgument
from jackstay_oci import config_values
from tests.unit.agent.containers.container_values import image, settings

APP = image(entrypoint=("/entry",), cmd=("serve", "80"), env=("A=image", "PATH=/opt/bin"), user="app")


@pytest.mark.parametrize(
    ("given", "args"),
    [
        ({}, ("/entry", "serve", "80")),
        ({"command": ("help",)}, ("/entry", "help")),
        ({"entrypoint": ("/bin/sh", "-c"), "command": ("ls",)}, ("/bin/sh", "-c", "ls")),
        ({"entrypoint": ("/bin/sh",)}, ("/bin/sh",)),  # the image's command goes with its entrypoint
        ({"entrypoint": (), "command": ("ls",)}, ("ls",)),
        ({"entrypoint": ("",), "command": ("ls",)}, ("ls",)),
    ],
)
def test_entrypoint_and_command(given: dict[str, tuple[str, ...]], args: tuple[str, ...]) -> None:
    plan = process.merge(settings(**given), APP)
    assert plan.args == args
    assert plan.entrypoint + plan.command == args


@pytest.mark.parametrize("given", [{}, {"entrypoint": ()}, {"entrypoint": ("",)}])
def test_no_command_at_all(given: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(InvalidArgument, match="no command specified"):
        process.merge(settings(**given), APP if given else image())


def test_environment_order_and_precedence() -> None:
    plan = process.merge(settings(env=("A=mine", "B=2"), tty=True), APP)
    assert plan.env == ("PATH=/opt/bin", "HOSTNAME=box", "TERM=xterm", "A=mine", "B=2")
    assert plan.config_env == ("A=mine", "PATH=/opt/bin", "B=2")


def test_environment_has_a_path_without_the_image() -> None:
    assert process.merge(settings(command=("x",)), image()).env == (f"PATH={process.DEFAULT_PATH}", "HOSTNAME=box")


def test_a_bare_name_removes_the_variable() -> None:
    assert "A=image" not in process.merge(settings(env=("A",)), APP).env


@pytest.mark.parametrize("bad", ["=x", "", "A=\0"])
def test_malformed_variables(bad: str) -> None:
    with pytest.raises(InvalidArgument):
        process.merge(settings(env=(bad,)), APP)


def test_nameless_variables_of_an_image_are_passed_over() -> None:
    assert "=x" not in process.merge(settings(command=("x",)), image(env=("=x", "B=1"))).env


def test_home_comes_from_the_user_unless_given() -> None:
    assert process.environment(("A=1",), "/home/app") == ("A=1", "HOME=/home/app")
    assert process.environment(("HOME=/x",), "/home/app") == ("HOME=/x",)


@pytest.mark.parametrize(("text", "cwd"), [("", "/"), ("/a/../b/", "/b"), ("//a", "/a"), ("/..", "/")])
def test_working_folder(text: str, cwd: str) -> None:
    assert process.merge(settings(command=("x",), working_dir=text), image()).cwd == cwd


def test_relative_working_folder() -> None:
    with pytest.raises(InvalidArgument, match="absolute"):
        process.merge(settings(command=("x",), working_dir="a"), image())


def test_the_images_volumes_unless_something_is_mounted_there() -> None:
    config = image(cmd=("x",), volumes={"/data/": {}, "/cache": {}, "/tmp/x": {}})
    given = settings(mounts=(Mount(type="bind", source="/srv", target="/data"),), tmpfs=("/cache:size=1m",))
    assert process.merge(given, config).volumes == ("/tmp/x",)


@pytest.mark.parametrize("volume", ["/", "relative", "/.."])
def test_impossible_volumes(volume: str) -> None:
    with pytest.raises(InvalidArgument):
        process.merge(settings(command=("x",)), image(volumes={volume: {}}))


def test_exposed_ports_of_both() -> None:
    config = image(cmd=("x",), exposed_ports={"80/tcp": {}, "53/udp": {}, "8000-8001": {}})
    plan = process.merge(settings(ports=(Port(container_port=443),), expose=("8001", "9000/udp")), config)
    assert plan.exposed_ports == ((53, "udp"), (80, "tcp"), (443, "tcp"), (8000, "tcp"), (8001, "tcp"), (9000, "udp"))


@pytest.mark.parametrize("text", ["0", "65536", "80/icmp", "9-8", "-1", "", "８０", "80:80"])
def test_malformed_ports(text: str) -> None:
    with pytest.raises(InvalidArgument):
        config_values.parse_exposed(text)


def test_too_many_ports() -> None:
    ports = {f"1-65535/{protocol}": {} for protocol in ("tcp", "udp", "sctp")}
    with pytest.raises(InvalidArgument, match="more than"):
        process.merge(settings(command=("x",)), image(exposed_ports=ports))


def test_labels_user_and_stop_signal() -> None:
    config = image(cmd=("x",), labels={"a": "1", "b": "1"}, user="app", stop_signal="SIGQUIT")
    plan = process.merge(settings(labels={"b": "2"}), config)
    assert (plan.labels, plan.user, plan.stop_signal) == ({"a": "1", "b": "2"}, "app", "SIGQUIT")
    assert process.merge(settings(user="0", stop_signal="INT"), config).user == "0"
    assert process.merge(settings(command=("x",)), image()).stop_signal == "SIGTERM"


@pytest.mark.parametrize(("signal", "number"), [("SIGQUIT", 3), ("", 15), ("NOSUCH", 15), ("0", 15), ("RTMIN+3", 37)])
def test_an_image_cannot_make_a_container_that_nobody_can_stop(signal: str, number: int) -> None:
    plan = process.merge(settings(), image(cmd=("x",), stop_signal=signal))
    assert plan.stop_number == number


@pytest.mark.parametrize("variable", ["=hunter2", "TOKEN=hunter2\0"])
def test_errors_do_not_tell_the_value_of_a_variable(variable: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        process.merge(settings(command=("x",), env=(variable,)), image())
    assert "hunter2" not in refused.value.message + refused.value.hint
