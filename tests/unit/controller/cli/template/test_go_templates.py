"""Go's text/template: what docker 28 has printed and refused for ``document.json``, and what no JSON can show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackstay.cli.output.go_values import NO_VALUE, Map, NilList, NilMap, Row, go_text, truth
from jackstay.cli.output.template import EvaluationError, TemplateError, parse_template
from jackstay.cli.output.template.floats import formatted, json_number, shortest
from jackstay.cli.output.template.functions import FUNCTIONS
from jackstay.cli.output.template.parser import DEPTH
from jackstay.cli.output.template.printf import sprintf
from jackstay.cli.output.template.quoting import json_text

HERE = Path(__file__).parent
DOCUMENT: dict[str, Any] = json.loads((HERE / "document.json").read_text())
DOCKER = json.loads((HERE / "docker.json").read_text())
ROW = Row({"Names": "app", "State": "running", "Size": "1kB", "Labels": "a=1,b=x,y"}, {"a": "1", "b": "x,y"})


def rendered(template: str, value: dict[str, Any] = DOCUMENT, *, listing: bool = False) -> str:
    return parse_template(template, listing=listing).render(value)


@pytest.mark.parametrize(("template", "text"), DOCKER["printed"])
def test_prints_what_docker_prints(template: str, text: str) -> None:
    assert rendered(template) == text


@pytest.mark.parametrize("template", DOCKER["refused"])
def test_refuses_what_docker_refuses(template: str) -> None:
    with pytest.raises((TemplateError, EvaluationError), match=r"^--format: .* at character \d+ \((\".+\"|the end)\)$"):
        rendered(template)


@pytest.mark.parametrize(
    ("template", "message", "hint"),
    [
        ("{{.Name", """--format: '{{' is not closed, at character 1 ("{{.Name")""", ""),
        (
            "{{.Nam}}",
            """--format: unknown field .Nam, did you mean .Name? at character 3 (".Nam}}")""",
            "fields here: ",
        ),
        ("x{{uper .Name}}", """--format: there is no function 'uper', at character 4""", "did you mean upper?"),
        ("{{if true}}a", """--format: {{if}} without {{end}}, at character 3 ("if true}}")""", ""),
        ("{{$x}}", """--format: variable $x is not set, at character 3 ("$x}}")""", ""),
        ("{{.State.Health.Status}}", "--format: no field .Status of nothing, at character 3", "{{with …}}"),
        ("{{template `x`}}", "--format: {{template}} is not supported, at character 3", ""),
        ("{{len 1 2}}", "--format: len takes 1 value, not 2, at character 3", ""),
        ("{{index .Args 7}}", "--format: index: position 7 is out of range, at character 3", ""),
        ("{{(.Name}}", "--format: a parenthesis is not closed, at character 9", ""),
        ("{{/* x", "--format: unclosed comment, at character 1", ""),
    ],
)
def test_errors_say_what_is_wrong_where(template: str, message: str, hint: str) -> None:
    with pytest.raises((TemplateError, EvaluationError)) as error:
        rendered(template)
    assert error.value.message.startswith(message)
    assert hint in error.value.hint


def test_only_the_fields_of_the_object_itself_are_known_before() -> None:
    template = parse_template(
        "{{.A}}{{if .B}}{{.C.X}}{{end}}{{range .D}}{{.Inner}}{{$.E}}{{else}}{{.F}}{{end}}{{(.G).Y}}{{printf `%s` .H}}"
    )
    assert template.fields == frozenset("ABCDEFGH")
    template.check_fields("ABCDEFGH")
    with pytest.raises(TemplateError, match=r"unknown field \.E"):
        template.check_fields("ABCDFGH")
    assert parse_template("{{with .A}}{{.Inner}}{{end}}{{json .}}").fields == {"A"}


def test_a_row_has_labels_by_name() -> None:
    assert rendered('{{.Label "a"}}|{{.Label "b"}}|{{.Label "none"}}|{{"a" | .Label}}', ROW, listing=True) == "1|x,y||1"
    assert rendered('{{if eq (.Label "a") "1"}}yes{{end}}', ROW) == "yes"
    for template in ("{{.Label}}", "{{.Label 1}}", '{{.Label "a" "b"}}', '{{.Names "a"}}'):
        with pytest.raises(EvaluationError):
            rendered(template, ROW)


def test_a_rows_json_is_sorted_and_a_documents_is_not() -> None:
    assert rendered("json", ROW) == '{"Labels":"a=1,b=x,y","Names":"app","Size":"1kB","State":"running"}'
    assert rendered("{{json .}}", {"b": 1, "a": {"d": None, "c": 1.5}}) == '{"b":1,"a":{"d":null,"c":1.5}}'


def test_listings_read_escapes_as_docker_does() -> None:
    assert rendered(r"  {{.Names}}\t{{.State}}\n ", ROW, listing=True) == "app\trunning\n"
    assert rendered(r"{{.Names}}\t", ROW, listing=False) == r"app\t"
    assert rendered(r"{{join (split .Labels `,`) `\n`}}", ROW, listing=True) == "a=1\nb=x\ny"


TITLES = {"Names": "NAMES", "RunningFor": "CREATED", "ID": "CONTAINER ID"}


@pytest.mark.parametrize(
    ("template", "header"),
    [
        (r"table {{.ID}}\t{{.Names}}\t{{.RunningFor}}", "CONTAINER ID\tNAMES\tCREATED"),
        (r"table {{.Other}}\t{{.State.Running}}", "OTHER\tRUNNING"),
        (
            r"table {{upper .Names}}\t{{.ID | lower}}\t{{truncate .ID 4}}\t{{json .Names}}",
            "NAMES\tCONTAINER ID\tCONTAINER ID\tNAMES",
        ),
        (r'table {{join (split .Names ",") "+"}}', "NAMES"),
        (r'table {{.Label "com.example.the-tier_x"}}\t{{.ID}}', "the tier x\tCONTAINER ID"),
        (r"table {{.ID}}\t{{range .Names}}{{.}}{{end}}\t{{.ID}}", "CONTAINER ID\t"),
        (r"table {{if eq .Names `x`}}a{{else}}{{.Names}}{{end}}", "NAMES"),
        (r'table{{pad .ID 1 1}}|{{printf "%.3s" .ID}}', " CONTAINER ID |CON"),
    ],
)
def test_a_tables_header(template: str, header: str) -> None:
    parsed = parse_template(template)
    assert parsed.table
    assert parsed.header(TITLES) == header


@pytest.mark.parametrize(
    ("value", "text", "true", "as_json"),
    [
        (None, "<nil>", False, "null"),
        (NO_VALUE, "<no value>", False, "null"),
        (NilList(), "[]", False, "null"),
        (NilMap({}), "map[]", False, "null"),
        ([], "[]", False, "[]"),
        (Map({}), "map[]", False, "{}"),
        ({}, "{}", True, "{}"),
        (Map({"b": 1, "a": [None, True]}), "map[a:[<nil> true] b:1]", True, '{"a":[null,true],"b":1}'),
        ({"b": "x y", "a": 2.5}, "{x y 2.5}", True, '{"b":"x y","a":2.5}'),
        (ROW, "map[Labels:a=1,b=x,y Names:app Size:1kB State:running]", True, json_text(dict(sorted(ROW.items())))),
        (0, "0", False, "0"),
        (0.0, "0", False, "0"),
        ("", "", False, '""'),
        (False, "false", False, "false"),
        (1 << 70, str(1 << 70), True, str(1 << 70)),
    ],
)
def test_values(value: object, text: str, true: bool, as_json: str) -> None:
    assert (go_text(value), truth(value), json_text(value)) == (text, true, as_json)


@pytest.mark.parametrize(
    ("value", "general", "as_json"),
    [
        (1e20, "1e+20", "100000000000000000000"),
        (1e21, "1e+21", "1e+21"),
        (1e-7, "1e-07", "1e-7"),
        (-0.0, "-0", "-0"),
        (123456.789, "123456.789", "123456.789"),
        (1234567.5, "1.2345675e+06", "1234567.5"),
        (5e-324, "5e-324", "5e-324"),
        (1e-12, "1e-12", "1e-12"),
    ],
)
def test_floats(value: float, general: str, as_json: str) -> None:
    assert (shortest(value), json_number(value)) == (general, as_json)


def test_floats_that_are_no_numbers() -> None:
    assert [shortest(float(text)) for text in ("inf", "-inf", "nan")] == ["+Inf", "-Inf", "NaN"]
    assert sprintf("%5.1f|%05.1f|%+f", [float("inf"), float("-inf"), float("nan")]) == " +Inf| -Inf|+NaN"


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_no_digit_of_a_float_is_lost(value: float) -> None:
    assert float(shortest(value)) == value
    assert float(json_number(value)) == value
    assert float.fromhex(formatted(value, "x", None)) == value


def test_ranges_know_their_else_and_their_variables() -> None:
    value = {"L": [1, 2, 3], "M": Map({"b": 2, "a": 1}), "N": None}
    assert rendered("{{range $i, $e := .L}}{{if eq $e 2}}{{continue}}{{end}}{{$i}}{{$e}} {{end}}", value) == "01 23 "
    assert rendered("{{range $k, $v := .M}}{{$k}}{{$v}} {{end}}{{range .N}}x{{else}}none{{end}}", value) == "a1 b2 none"
    assert rendered("{{$s := 0}}{{range .L}}{{$s = .}}{{end}}{{$s}}", value) == "3"
    assert (
        rendered("{{range .L}}{{range $.L}}{{if gt . 1}}{{break}}{{end}}{{.}}{{end}}{{.}},{{end}}", value)
        == "11,12,13,"
    )
    assert rendered("{{range $i := 3}}{{$i}}{{end}}{{range 0}}x{{else}}-{{end}}", value) == "012-"


def test_nesting_is_bounded() -> None:
    inside = "{{" + "(" * (DEPTH - 1) + "1" + ")" * (DEPTH - 1) + "}}"
    assert rendered(inside) == "1"
    for template in (
        "{{" + "(" * (DEPTH + 1) + "1" + ")" * (DEPTH + 1) + "}}",
        "{{if 1}}" * (DEPTH + 1) + "{{end}}" * (DEPTH + 1),
        "{{if 0}}" + "{{else if 0}}" * (DEPTH + 1) + "{{end}}",
    ):
        with pytest.raises(TemplateError, match=f"more than {DEPTH} parts lie in each other"):
            parse_template(template)
    deep: Any = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(EvaluationError, match="too deep"):
        rendered("{{.D}}", {"D": deep})


PIECES = [
    *("{{", "}}", "{{-", "-}}", " ", "(", ")", "|", ",", ":=", "=", "$", "$x", ".", ".Name", ".State.Pid", ".Args"),
    *("if", "else", "end", "range", "with", "break", "continue", "define", "nil", "true", "1", "-2", "1.5", "'a'"),
    *('"s"', "`r`", '"', "/*", "*/", "\n", "\\", "é", "%", "x", *FUNCTIONS),
]


def complaint(template: str, *, listing: bool = False) -> str:
    """What is said of a template; empty when it is printed."""
    try:
        parsed = parse_template(template, listing=listing)
        parsed.header({})
        parsed.render(DOCUMENT)
    except (TemplateError, EvaluationError) as error:
        return error.message
    return ""


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join) | st.text(max_size=40), st.booleans())
def test_any_text_is_printed_or_refused(text: str, listing: bool) -> None:
    said = complaint(text, listing=listing)
    assert said[:10] in ("", "--format: ")
    assert said == "" or "{{" in text


@given(
    st.lists(st.sampled_from(PIECES[5:]), max_size=8).map(" ".join),
    st.sampled_from(["{{%s}}", "{{if %s}}a{{else}}b{{end}}", "{{range %s}}{{.}}{{end}}", "{{with %s}}{{.}}{{end}}"]),
)
def test_any_action_is_printed_or_refused(inside: str, form: str) -> None:
    assert complaint(form.replace("%s", inside))[:10] in ("", "--format: ")


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert rendered("\udcff{{`\udcff` | len}}") == "?1"


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
NESTED = st.recursive(VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner))
FORMATS = st.lists(
    st.sampled_from([*"%%%%vdsqxXfgeEGtTcUboOp#+-0 .*[]1239", "[1]", "[2]", "1000001", "é"]), max_size=12
).map("".join)


@given(FORMATS, st.lists(NESTED, max_size=3))
def test_printf_never_fails(template: str, values: list[Any]) -> None:
    assert isinstance(sprintf(template, values), str)
