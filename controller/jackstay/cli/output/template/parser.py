"""Tokens as a tree, by the grammar of Go's text/template without define, template and block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from jackstay.cli.output.template import nodes
from jackstay.cli.output.template.errors import TemplateError, complaint
from jackstay.cli.output.template.functions import FUNCTIONS
from jackstay.cli.output.template.lexer import Token, tokens
from jackstay.cli.output.template.literals import character, number, unquote

DEPTH = 100
"""How deep parentheses and controls may lie in each other, together."""

_CONTROLS = ("if", "with", "range")
_OPERANDS = frozenset(["string", "raw", "char", "number", "variable", "field", "dot", "word"])


class Parser:
    """One pass over one template."""

    def __init__(self, text: str, start: int, end: int, *, escapes: bool) -> None:
        self._text = text
        self._tokens = list(tokens(text, start, end, escapes=escapes))
        self._next = 0
        self._variables = ["$"]
        self._loops = 0
        self._depth = 0

    def parse(self) -> nodes.Nodes:
        """The whole template. Raises :class:`TemplateError`."""
        found, stop, token = self._list()
        if stop:
            raise self._error(f"{{{{{stop}}}}} without an if, with or range before it", token)
        return found

    # --- the text and its actions -----------------------------------------------------------------------------------

    def _list(self) -> tuple[nodes.Nodes, str, Token]:
        """Nodes up to an ``else`` or ``end``, or the end of the text (then the word is empty)."""
        found: list[nodes.Node] = []
        while True:
            token = self._take()
            if token.kind == "end":
                return tuple(found), "", token
            if token.kind == "text":
                found.append(nodes.Text(token.text))
                continue
            word = self._peek_behind_space()
            if word.kind != "keyword":
                found.append(nodes.Action(self._pipeline("an action", "close")))
                continue
            self._take()
            if word.text in ("else", "end"):
                if word.text == "end":
                    self._close(word)
                return tuple(found), word.text, word
            found.append(self._keyword(word))

    def _keyword(self, word: Token) -> nodes.Node:
        if word.text in _CONTROLS:
            return self._control(word)
        if word.text in ("break", "continue"):
            self._close(word)
            if not self._loops:
                raise self._error(f"{{{{{word.text}}}}} outside of a range", word)
            return nodes.Jump(word.text)
        raise self._error(f"{{{{{word.text}}}}} is not supported", word)

    def _control(self, word: Token) -> nodes.Control:
        """``if``, ``with`` or ``range`` up to its ``end``; ``else if`` and ``else with`` share the outer one's."""
        known = len(self._variables)
        with self._deeper(word):
            pipeline = self._pipeline(word.text, "close")
            self._loops += word.text == "range"
            body, stop, token = self._list()
            self._loops -= word.text == "range"
            otherwise: nodes.Nodes = ()
            if stop == "else":
                inner = self._peek_behind_space()
                if inner.kind == "keyword" and inner.text == word.text and word.text in ("if", "with"):
                    self._take()
                    otherwise, stop = (self._control(inner),), "end"
                else:
                    self._close(token)
                    otherwise, stop, token = self._list()
                    if stop == "else":
                        raise self._error("a second {{else}}", token)
        if stop != "end":
            raise self._error(f"{{{{{word.text}}}}} without {{{{end}}}}", word)
        del self._variables[known:]
        return nodes.Control(word.text, pipeline, body, otherwise)

    def _close(self, word: Token) -> None:
        token = self._take_behind_space()
        if token.kind != "close":
            raise self._error(f"unexpected {_shown(token)} after {word.text}", token)

    # --- what stands in an action -----------------------------------------------------------------------------------

    def _pipeline(self, what: str, close: str) -> nodes.Pipeline:
        begin = self._peek_behind_space()
        names, declares = self._declared(what)
        commands: list[nodes.Command] = []
        while True:
            token = self._peek_behind_space()
            if token.kind == "close" or token.text == ")":
                self._take()
                if (token.kind if close == "close" else token.text) != close:
                    raise self._error("a parenthesis is not closed" if close == ")" else "unexpected ')'", token)
                break
            if token.kind not in _OPERANDS and token.text != "(":
                raise self._error(f"unexpected {_shown(token)} in {what}", token)
            commands.append(self._command())
        if not commands:
            raise self._error(f"a value is missing in {what}", token)
        for command in commands[1:]:
            if isinstance(command.operands[0], nodes.Literal | nodes.Dot):
                raise self._error_at("a value stands where a function is expected", command.at)
        if declares:
            self._variables.extend(names)
        return nodes.Pipeline(tuple(commands), names, declares, begin.at)

    def _declared(self, what: str) -> tuple[tuple[str, ...], bool]:
        """The variables that a pipeline sets: ``$x :=``, ``$x =``, in a range also ``$i, $e :=``."""
        names: list[str] = []
        start = self._next
        while (token := self._peek_behind_space()).kind == "variable":
            self._take()
            after = self._peek_behind_space()
            if after.text in (":=", "=") and after.kind == "mark":
                self._take()
                if after.text == "=":
                    for name in (*names, token.text):
                        self._known(name, token)
                return (*names, token.text), after.text == ":="
            if after.text != "," or after.kind != "mark":
                break
            if what != "range" or names:
                raise self._error(f"too many variables in {what}", after)
            self._take()
            names.append(token.text)
            if self._peek_behind_space().kind != "variable":
                raise self._error("a range can only set variables", self._peek_behind_space())
        if names:
            raise self._error("a range can only set variables", self._peek_behind_space())
        self._next = start
        return (), False

    def _command(self) -> nodes.Command:
        """A function or value and its arguments, and the ``|`` behind them."""
        operands: list[nodes.Operand] = []
        while True:
            token = self._peek_behind_space()
            if token.kind in _OPERANDS or token.text == "(":
                operands.append(self._operand())
            token = self._take()
            if token.kind == "space":
                continue
            if token.kind == "close" or token.text == ")":
                self._next -= 1
            elif token.text != "|" or token.kind != "mark":
                raise self._error(f"unexpected {_shown(token)}", token)
            if not operands:
                raise self._error("a value is missing", token)
            return nodes.Command(tuple(operands))

    def _operand(self) -> nodes.Operand:
        """A term and the fields that hang on it."""
        first = self._take()
        found = self._term(first)
        names: list[str] = []
        while self._tokens[self._next].kind == "field":
            names.append(self._take().text[1:])
        if not names:
            return found
        match found:
            case nodes.Field():
                return nodes.Field((*found.names, *names), found.at)
            case nodes.Variable():
                return nodes.Variable(found.name, (*found.names, *names), found.at)
            case nodes.Literal() | nodes.Dot():
                raise self._error(f"a field of {_shown(first)}", first)
            case _:
                return nodes.Chain(found, tuple(names), found.at)

    def _term(self, token: Token) -> nodes.Operand:
        match token.kind:
            case "dot":
                return nodes.Dot(token.at)
            case "field":
                return nodes.Field((token.text[1:],), token.at)
            case "variable":
                self._known(token.text, token)
                return nodes.Variable(token.text, (), token.at)
            case "mark":
                with self._deeper(token):
                    return self._pipeline("parentheses", ")")
            case "word":
                return self._word(token)
            case _:
                return nodes.Literal(self._constant(token), token.at)

    def _word(self, token: Token) -> nodes.Operand:
        if token.text in ("true", "false"):
            return nodes.Literal(token.text == "true", token.at)
        if token.text == "nil":
            return nodes.Literal(None, token.at)
        if token.text not in FUNCTIONS:
            from difflib import get_close_matches

            near = get_close_matches(token.text, FUNCTIONS, 1)
            hint = f"did you mean {near[0]}?" if near else f"functions: {', '.join(sorted(FUNCTIONS))}"
            raise self._error(f"there is no function {token.text!r}", token, hint=hint)
        return nodes.Function(token.text, token.at)

    def _constant(self, token: Token) -> str | int | float:
        value: str | int | float | None
        match token.kind:
            case "raw":
                value = token.text[1:-1].replace("\r", "")
            case "string":
                value = unquote(token.text)
            case "char":
                value = character(token.text)
            case _:
                value = number(token.text)
        if value is None:
            raise self._error(f"{token.text} is no {_CONSTANTS[token.kind]}", token)
        return value

    # --- tokens -----------------------------------------------------------------------------------------------------

    def _known(self, name: str, token: Token) -> None:
        if name not in self._variables:
            raise self._error(f"variable {name} is not set", token)

    @contextmanager
    def _deeper(self, token: Token) -> Iterator[None]:
        self._depth += 1
        if self._depth > DEPTH:
            raise self._error(f"more than {DEPTH} parts lie in each other", token)
        yield
        self._depth -= 1

    def _take(self) -> Token:
        token = self._tokens[self._next]
        self._next += 1
        return token

    def _take_behind_space(self) -> Token:
        self._peek_behind_space()
        return self._take()

    def _peek_behind_space(self) -> Token:
        while self._tokens[self._next].kind == "space":
            self._next += 1
        return self._tokens[self._next]

    def _error(self, problem: str, token: Token, *, hint: str = "") -> TemplateError:
        return self._error_at(problem, token.at, hint=hint)

    def _error_at(self, problem: str, at: int, *, hint: str = "") -> TemplateError:
        return TemplateError(complaint(problem, self._text, at), hint=hint)


_CONSTANTS = {"string": "text that Go can read", "char": "single character", "number": "number"}


def _shown(token: Token) -> str:
    return {"close": "'}}'", "end": "the end"}.get(token.kind, repr(token.text))
