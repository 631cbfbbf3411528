from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackstay_oci.changes import instructions as changes
from jackstay_oci.changes import lines
from jackstay_oci.changes import words as dockerfile_words
from jackstay_oci.config_values import absolute
from jackstay_oci.documents import encode
from jackstay_oci.errors import InvalidArgument
from jackstay_oci.image_config import ContainerConfig, Healthcheck

OLD = ContainerConfig(cmd=("old",), entrypoint=("/entry",), env=("A=1", "B=x y"), working_dir="/srv", labels={"l": "0"})


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ('CMD ["a", "b c"]', "cmd", ("a", "b c")),
        ("CMD a b", "cmd", ("/bin/sh", "-c", "a b")),
        ("CMD [a]", "cmd", ("/bin/sh", "-c", "[a]")),
        ('CMD ["a"] what follows', "cmd", ("a",)),
        ("CMD a   b \\\n # a comment\n\n  c", "cmd", ("/bin/sh", "-c", "a   b   c")),
        ("CMD a \\\\", "cmd", ("/bin/sh", "-c", "a \\\\")),
        ("CMD -- --x", "cmd", ("/bin/sh", "-c", "--x")),
        ("CMD []", "cmd", ()),
        ('cmd ["a"]', "cmd", ("a",)),
        ('ENTRYPOINT ["/x"]', "entrypoint", ("/x",)),
        ("ENTRYPOINT exec x $A", "entrypoint", ("/bin/sh", "-c", "exec x $A")),
        ("ENV A=2 C='d  e' D=\"$A-${B}\"", "env", ("A=2", "B=x y", "C=d  e", "D=1-x y")),
        ("ENV C the rest of it", "env", ("A=1", "B=x y", "C=the rest of it")),
        ("ENV C=a\\ b", "env", ("A=1", "B=x y", "C=a b")),
        ("ENV C=", "env", ("A=1", "B=x y", "C=")),
        ('ENV "C C"=d', "env", ("A=1", "B=x y", "C C=d")),
        ('ENV C the "rest of" it', "env", ("A=1", "B=x y", "C=the rest of it")),
        ('ENV C=a\\"b D=\'it"s\' E="x\\$A" F=\\$A G="a\\nb"', "env",
         ("A=1", "B=x y", 'C=a"b', "D=it\"s", "E=x$A", "F=$A", "G=a\\nb")),
        ('LABEL a="x \\\n   y" b=c', "labels", {"l": "0", "a": "x    y", "b": "c"}),
        ("LABEL a=b 'c d'=e", "labels", {"l": "0", "a": "b", "c d": "e"}),
        ("LABEL l=1", "labels", {"l": "1"}),
        ("EXPOSE 53/udp 80-81/TCP", "exposed_ports", {"53/udp": {}, "80/tcp": {}, "81/tcp": {}}),
        ("EXPOSE $A", "exposed_ports", {"1/tcp": {}}),
        ("EXPOSE 8080:81 127.0.0.1:8080:82/udp 83/sctp", "exposed_ports", {"81/tcp": {}, "82/udp": {}, "83/sctp": {}}),
        ("ONBUILD RUN make", "on_build", ("RUN make",)),
        ("onbuild  run   y", "on_build", ("run   y",)),
        ("STOPSIGNAL SIGQUIT", "stop_signal", "SIGQUIT"),
        ("STOPSIGNAL 9", "stop_signal", "9"),
        ("USER app:web", "user", "app:web"),
        ("USER a b # c", "user", "a b # c"),
        ("USER $U", "user", ""),
        ("USER ${A-x}${Z-9}${Z:+y}${A+y}${A?no}${A:?no}", "user", "19y11"),
        ("USER ${A:-x}${Z:-9}${A:+y}", "user", "19y"),
        ("WORKDIR /a/./b", "working_dir", "/a/b"),
        ("WORKDIR b", "working_dir", "/srv/b"),
        ('VOLUME ["/a", "/b c"]', "volumes", {"/a": {}, "/b c": {}}),
        ("VOLUME /a /b/ /$A", "volumes", {"/a": {}, "/b/": {}, "/1": {}}),
        ("HEALTHCHECK NONE", "healthcheck", Healthcheck(test=("NONE",))),
        ('healthcheck  cmd  ["a", "b"] c', "healthcheck", Healthcheck(test=("CMD", "a", "b"))),
        ("HEALTHCHECK --interval=0 --retries=0 CMD a  b", "healthcheck", Healthcheck(test=("CMD-SHELL", "a  b"))),
        ("HEALTHCHECK --start-period=1.5s --start-interval=2s CMD a", "healthcheck",
         Healthcheck(test=("CMD-SHELL", "a"), start_period=15 * 10**8, start_interval=2 * 10**9)),
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


def test_an_empty_command_does_not_count_as_given() -> None:
    assert changes.apply(OLD, ["CMD []", 'ENTRYPOINT ["/x"]', "ENTRYPOINT []"]).cmd == ()
    assert changes.apply(OLD, ["ENTRYPOINT []"]).entrypoint == ()


def test_the_changes_are_the_lines_of_one_text() -> None:
    assert changes.apply(OLD, ["ENV A=3 \\", "C=4"]).env == ("A=3", "B=x y", "C=4")


def test_an_unknown_instruction_is_told_with_those_that_are_known() -> None:
    with pytest.raises(InvalidArgument, match="SHELL is not a valid change command") as caught:
        changes.apply(OLD, ["USER a", 'shell ["/bin/bash"]'])
    assert caught.value.hint == (
        "valid are CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR"
    )


def test_the_images_own_shell_is_used() -> None:
    assert changes.apply(ContainerConfig(shell=("/bin/bash", "-c")), ["CMD x"]).cmd == ("/bin/bash", "-c", "x")


def test_a_later_variable_sees_the_earlier_instruction() -> None:
    assert changes.apply(OLD, ["ENV A=5", "USER u$A"]).user == "u5"


@pytest.mark.parametrize(
    "text",
    [
        "RUN rm -rf /", "FROM x", "COPY a b", "nonsense", "CMD", "ENV", "ENV A", "ENV A=1 B", "ENV =x", "LABEL a",
        "EXPOSE x", "EXPOSE 99999", "ONBUILD ONBUILD RUN x", "ONBUILD FROM x", "ONBUILD", "STOPSIGNAL NOPE", "USER",
        "WORKDIR ''", "WORKDIR $Z", "EXPOSE \"1 2\"", "EXPOSE 90-88",
        "HEALTHCHECK CMD []", "HEALTHCHECK --interval=-5s CMD x",
        "VOLUME []x", 'VOLUME [""]', "VOLUME /", "VOLUME a", "HEALTHCHECK", "HEALTHCHECK RUN x",
        "HEALTHCHECK CMD", "HEALTHCHECK --interval=1 CMD x", "HEALTHCHECK --interval=1us CMD x",
        "HEALTHCHECK --retries=x CMD x", "HEALTHCHECK --nope=1 CMD x", "HEALTHCHECK NONE x", "USER 'a", 'USER "a',
        "USER ${A", "USER ${A:}", "USER ${Z?no}", "USER --x", "CMD --x y",
        "CMD [1]", "VOLUME []", "VOLUME [null]", "USER ${}", "USER ${A/x}",
        "ENV A=\0", 'CMD ["\\u0000"]', 'CMD ["\\ud800"]', "-USER x",
        "x" * (lines.MAX_TEXT + 1), "ENV A=" + "${B:-" * 30 + "}" * 30 + "${X:-" * 30 + "}" * 30,
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
    assert changed.working_dir.startswith("/")
    assert "/" not in [absolute(path, "") for path in changed.volumes]
    assert not [text for text in (*changed.cmd, *changed.entrypoint, *changed.env, changed.user) if "\0" in text]


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
