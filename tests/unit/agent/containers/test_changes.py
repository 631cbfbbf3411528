from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackstay_agent.containers import changes, dockerfile_words, process
from jackstay_agent.errors import InvalidArgument
from jackstay_oci.documents import encode
from jackstay_oci.image_config import ContainerConfig, Healthcheck, ImageConfig
from tests.unit.agent.containers.container_values import settings

OLD = ContainerConfig(cmd=("old",), entrypoint=("/entry",), env=("A=1", "B=x y"), working_dir="/srv", labels={"l": "0"})


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ('CMD ["a", "b c"]', "cmd", ("a", "b c")),
        ("CMD a b", "cmd", ("/bin/sh", "-c", "a b")),
        ("CMD [a]", "cmd", ("/bin/sh", "-c", "[a]")),
        ("CMD []", "cmd", ()),
        ('cmd ["a"]', "cmd", ("a",)),
        ('ENTRYPOINT ["/x"]', "entrypoint", ("/x",)),
        ("ENTRYPOINT exec x $A", "entrypoint", ("/bin/sh", "-c", "exec x $A")),
        ("ENV A=2 C='d  e' D=\"$A-${B}\"", "env", ("A=2", "B=x y", "C=d  e", "D=1-x y")),
        ("ENV C the rest of it", "env", ("A=1", "B=x y", "C=the rest of it")),
        ("ENV C=a\\ b", "env", ("A=1", "B=x y", "C=a b")),
        ("ENV C=", "env", ("A=1", "B=x y", "C=")),
        ("LABEL a=b 'c d'=e", "labels", {"l": "0", "a": "b", "c d": "e"}),
        ("LABEL l=1", "labels", {"l": "1"}),
        ("EXPOSE 53/udp 80-81/TCP", "exposed_ports", {"53/udp": {}, "80/tcp": {}, "81/tcp": {}}),
        ("EXPOSE $A", "exposed_ports", {"1/tcp": {}}),
        ("ONBUILD RUN make", "on_build", ("RUN make",)),
        ("STOPSIGNAL SIGQUIT", "stop_signal", "SIGQUIT"),
        ("STOPSIGNAL 9", "stop_signal", "9"),
        ("USER app:web", "user", "app:web"),
        ("USER ${A:-x}${Z:-9}${A:+y}", "user", "19y"),
        ("WORKDIR /a/./b", "working_dir", "/a/b"),
        ("WORKDIR b", "working_dir", "/srv/b"),
        ('VOLUME ["/a", "/b c"]', "volumes", {"/a": {}, "/b c": {}}),
        ("VOLUME /a /b/", "volumes", {"/a": {}, "/b": {}}),
        ("HEALTHCHECK NONE", "healthcheck", Healthcheck(test=("NONE",))),
        (
            "HEALTHCHECK --interval=1m30s --timeout=500ms --retries=3 CMD curl -f x",
            "healthcheck",
            Healthcheck(test=("CMD-SHELL", "curl -f x"), interval=90 * 10**9, timeout=5 * 10**8, retries=3),
        ),
        ('HEALTHCHECK CMD ["a"]', "healthcheck", Healthcheck(test=("CMD", "a"))),
        ("# a comment\n\nUSER \\\n  app", "user", "app"),
    ],
)  # fmt: skip
def test_instructions(text: str, field: str, value: Any) -> None:
    assert getattr(changes.apply(OLD, [text]), field) == value


def test_an_entrypoint_does_away_with_the_command() -> None:
    assert changes.apply(OLD, ['ENTRYPOINT ["/x"]']).cmd == ()
    assert changes.apply(OLD, ['CMD ["c"]', 'ENTRYPOINT ["/x"]']).cmd == ("c",)
    assert changes.apply(OLD, ['ENTRYPOINT ["/x"]\nCMD ["c"]']).cmd == ("c",)


def test_the_images_own_shell_is_used() -> None:
    assert changes.apply(ContainerConfig(shell=("/bin/bash", "-c")), ["CMD x"]).cmd == ("/bin/bash", "-c", "x")


def test_a_later_variable_sees_the_earlier_instruction() -> None:
    assert changes.apply(OLD, ["ENV A=5", "USER u$A"]).user == "u5"


@pytest.mark.parametrize(
    "text",
    [
        "RUN rm -rf /", "FROM x", "COPY a b", "nonsense", "CMD", "ENV", "ENV A", "ENV A=1 B", "ENV =x", "LABEL a",
        "EXPOSE x", "EXPOSE 99999", "ONBUILD ONBUILD RUN x", "ONBUILD FROM x", "ONBUILD", "STOPSIGNAL NOPE", "USER",
        "USER ''", "VOLUME []x", 'VOLUME [""]', "VOLUME /", "VOLUME a", "HEALTHCHECK", "HEALTHCHECK RUN x",
        "HEALTHCHECK CMD", "HEALTHCHECK --interval=1 CMD x", "HEALTHCHECK --interval=1us CMD x",
        "HEALTHCHECK --retries=x CMD x", "HEALTHCHECK --nope=1 CMD x", "HEALTHCHECK NONE x", "USER 'a", 'USER "a',
        "USER ${A", "USER ${}", "USER ${A?x}", "ENV A=\0", 'CMD ["\\u0000"]', 'CMD ["\\ud800"]', "-USER x",
        "x" * (changes.MAX_TEXT + 1), "ENV A=" + "${B:-" * 30 + "}" * 30 + "${X:-" * 30 + "}" * 30,
    ],
)  # fmt: skip
def test_refusals(text: str) -> None:
    with pytest.raises(InvalidArgument):
        changes.apply(OLD, [text])


def test_nothing_is_half_done() -> None:
    with pytest.raises(InvalidArgument):
        changes.apply(OLD, ["USER x", "NOPE"])
    assert OLD.user == ""


INSTRUCTION = st.builds(
    "{} {}".format,
    st.sampled_from(sorted(changes._ACTIONS)),
    st.text(max_size=40) | st.text(alphabet="$\\{}'\":-+=[]AB/ ,1\t-", max_size=40),
)


@given(st.lists(INSTRUCTION | st.text(max_size=40), max_size=4))
def test_only_invalid_argument_escapes_and_what_comes_out_can_run(texts: list[str]) -> None:
    try:
        changed = changes.apply(OLD, texts)
    except InvalidArgument:
        return
    encode(changed)
    if changed.entrypoint[:1] != ("",):  # which no container can run, but a command line may override
        assert process.merge(settings(command=("x",)), ImageConfig(config=changed)).cwd.startswith("/")


@given(st.text(max_size=60), st.dictionaries(st.text("AB", min_size=1, max_size=2), st.text(max_size=5)))
def test_words(text: str, variables: dict[str, str]) -> None:
    try:
        for word in dockerfile_words.split(text):
            dockerfile_words.expand(word, variables)
    except InvalidArgument:
        pass


def test_values_are_never_looked_into_again() -> None:
    assert dockerfile_words.expand("$A", {"A": "$B'\"\\", "B": "no"}) == "$B'\"\\"
    assert dockerfile_words.expand("'$A' \"\\$A\" \\$A", {"A": "1"}) == "$A $A $A"
