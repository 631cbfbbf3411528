"""Whether a container is well, by what its probes gave."""

from __future__ import annotations

import pytest

from jackstay_agent.containers import health
from jackstay_agent.containers.health import Health, Result
from jackstay_agent.containers.process import ProcessPlan, merge
from jackstay_agent.containers.settings import HealthCheck, Settings
from jackstay_agent.errors import InvalidArgument
from jackstay_oci.image_config import ContainerConfig, Healthcheck, ImageConfig

SECOND = 10**9
BEGIN = 1000 * SECOND


def probes(codes: str, asked: Healthcheck, known: Health | None = None) -> Health:
    """The health after probes that began a second apart: ``.`` well, ``x`` not."""
    known = known or health.begun(None)
    for number, code in enumerate(codes):
        start = BEGIN + number * SECOND
        result = Result(start=start, end=start + 1, exit_code=".x".index(code), output=str(number))
        known = health.judged(known, result, asked, BEGIN)
    return known


@pytest.mark.parametrize(
    ("codes", "check", "status", "streak"),
    [
        ("", {}, "starting", 0),
        (".", {}, "healthy", 0),
        ("xx", {}, "starting", 2),
        ("xxx", {}, "unhealthy", 3),
        ("xx.", {}, "healthy", 0),
        (".xx", {}, "healthy", 2),
        (".xxx", {}, "unhealthy", 3),
        ("xxx.", {}, "healthy", 0),
        ("x", {"retries": 1}, "unhealthy", 1),
        ("xxxxx", {"retries": 1, "start_period": 5 * SECOND}, "starting", 0),
        ("xxxxxx", {"retries": 1, "start_period": 5 * SECOND}, "unhealthy", 1),
        (".x", {"retries": 1, "start_period": 5 * SECOND}, "unhealthy", 1),  # it had started
        ("...x", {"retries": 1, "start_period": 0}, "unhealthy", 1),
    ],
)
def test_states(codes: str, check: dict[str, int], status: str, streak: int) -> None:
    known = probes(codes, Healthcheck(test=("CMD", "x"), **check))  # type: ignore[arg-type]
    assert (known.status, known.failing_streak) == (status, streak)


def test_five_results_are_kept_also_of_the_run_before() -> None:
    known = probes("......x", Healthcheck())
    assert [result.output for result in known.log] == ["2", "3", "4", "5", "6"]
    again = health.begun(known)
    assert (again.status, again.failing_streak, again.log) == ("starting", 0, known.log)


def test_how_long_to_wait() -> None:
    asked = Healthcheck(interval=7 * SECOND, start_interval=2 * SECOND, start_period=10 * SECOND)
    starting, well = Health(), Health(status="healthy")
    assert health.pause(starting, asked, BEGIN, BEGIN + 9 * SECOND) == 2 * SECOND
    assert health.pause(starting, asked, BEGIN, BEGIN + 10 * SECOND) == 7 * SECOND
    assert health.pause(well, asked, BEGIN, BEGIN) == 7 * SECOND
    assert health.pause(starting, Healthcheck(), BEGIN, BEGIN) == 30 * SECOND
    assert health.pause(starting, Healthcheck(start_period=1 << 50), BEGIN, BEGIN) == 5 * SECOND
    assert health.timeout(Healthcheck()) == 30 * SECOND


def plan(settings: HealthCheck | None, image: Healthcheck | None, shell: tuple[str, ...] = ()) -> ProcessPlan:
    config = ImageConfig(architecture="amd64", os="linux", config=ContainerConfig(healthcheck=image, shell=shell))
    return merge(Settings(image="i", name="c", hostname="c", command=("x",), health=settings), config)


def test_the_check_is_the_containers_over_the_images() -> None:
    of_image = Healthcheck(test=("CMD", "a"), interval=3, retries=2)
    assert plan(None, None).healthcheck is None
    assert plan(None, of_image).healthcheck == of_image
    assert plan(HealthCheck(interval=5, timeout=4), of_image).healthcheck == Healthcheck(
        test=("CMD", "a"), interval=5, timeout=4, retries=2
    )
    assert plan(HealthCheck(test=("CMD", "b")), None).healthcheck == Healthcheck(test=("CMD", "b"))


@pytest.mark.parametrize(
    ("test", "shell", "command"),
    [
        (("CMD", "a", "b"), (), ("a", "b")),
        (("CMD-SHELL", "a | b"), (), ("/bin/sh", "-c", "a | b")),
        (("CMD-SHELL", "a"), ("/bin/ash", "-ec"), ("/bin/ash", "-ec", "a")),
        (("NONE",), (), ()),
        (("CMD",), (), ()),
        (("WHAT", "a"), (), ()),
        (("CMD", "a\0"), (), ()),
        ((), (), ()),
    ],
)
def test_what_a_probe_runs(test: tuple[str, ...], shell: tuple[str, ...], command: tuple[str, ...]) -> None:
    assert health.command(plan(None, Healthcheck(test=test), shell)) == command


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (HealthCheck(interval=999_999), "Interval in Healthcheck cannot be less than 1ms"),
        (HealthCheck(start_period=-1), "StartPeriod in Healthcheck cannot be less than 1ms"),
        (HealthCheck(test=("WHAT", "a")), "unknown healthcheck type 'WHAT'"),
        (HealthCheck(test=("CMD", "\0")), "NUL"),
    ],
)
def test_checks_that_there_are_not(asked: HealthCheck, told: str) -> None:
    with pytest.raises(InvalidArgument, match=told):
        health.check(asked)


def test_dockers_document() -> None:
    told = health.document(probes("x", Healthcheck()))
    assert (told["Status"], told["FailingStreak"]) == ("starting", 1)
    assert told["Log"] == [
        {"Start": "1970-01-01T00:16:40Z", "End": "1970-01-01T00:16:40.000000001Z", "ExitCode": 1, "Output": "0"}
    ]
    assert health.too_long(1500 * 10**6, "x") == "Health check exceeded timeout (1.5s): x"
    assert health.too_long(20 * 10**6, "") == "Health check exceeded timeout (20ms)"
