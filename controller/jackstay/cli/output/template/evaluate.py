"""A template's tree on one object, as Go's text/template executes it. Pure; linear in what it prints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jackstay.cli.output.go_values import NO_VALUE, Map, Row, go_text, members, truth
from jackstay.cli.output.template import nodes
from jackstay.cli.output.template.errors import EvaluationError, Misuse, complaint
from jackstay.cli.output.template.functions import FUNCTIONS, Function

_NONE = object()
"""No value comes through a pipe."""


class _Jump(Exception):
    """``break`` or ``continue``, on its way to the range."""

    def __init__(self, keyword: str) -> None:
        self.keyword = keyword


class Evaluation:
    """One run of a template on one object."""

    def __init__(self, text: str, value: Mapping[str, Any], functions: Mapping[str, Function] = FUNCTIONS) -> None:
        self._text = text
        self._functions = functions
        self._variables: list[list[Any]] = [["$", value]]
        self._printed: list[str] = []

    def run(self, tree: nodes.Nodes) -> str:
        """What it prints. Raises :class:`EvaluationError`."""
        try:
            self._walk(tree, self._variables[0][1])
        except RecursionError:
            raise EvaluationError("--format: the object is nested too deep to be printed") from None
        return "".join(self._printed)

    def _walk(self, tree: nodes.Nodes, dot: Any) -> None:
        for node in tree:
            if isinstance(node, nodes.Text):
                self._printed.append(node.text)
            elif isinstance(node, nodes.Action):
                value = self._pipeline(node.pipeline, dot)
                if not node.pipeline.variables:
                    self._printed.append(go_text(value))
            elif isinstance(node, nodes.Jump):
                raise _Jump(node.keyword)
            else:
                known = len(self._variables)
                self._control(node, dot)
                del self._variables[known:]

    # --- controls ---------------------------------------------------------------------------------------------------

    def _control(self, node: nodes.Control, dot: Any) -> None:
        value = self._pipeline(node.pipeline, dot)
        if node.keyword == "range":
            self._range(node, value, dot)
        elif truth(value):
            self._walk(node.body, value if node.keyword == "with" else dot)
        else:
            self._walk(node.otherwise, dot)

    def _range(self, node: nodes.Control, value: Any, dot: Any) -> None:
        names, known, empty = node.pipeline.variables, len(self._variables), True
        for key, item in self._items(node.pipeline, value):
            empty = False
            # With one variable it is the element, with two the first is the key.
            for name, given in zip(names, (item,) if len(names) == 1 else (key, item), strict=False):
                if node.pipeline.declares:
                    self._variables.append([name, given])
                else:
                    self._set(name, given)
            try:
                self._walk(node.body, item)
            except _Jump as jump:
                if jump.keyword == "break":
                    break
            finally:
                del self._variables[known:]
        if empty:
            self._walk(node.otherwise, dot)

    def _items(self, pipeline: nodes.Pipeline, value: Any) -> Iterable[tuple[Any, Any]]:
        if isinstance(value, list):
            return enumerate(value)
        if isinstance(value, dict):
            return iter(sorted(members(value)))
        if value is None or value is NO_VALUE:
            return ()
        if isinstance(value, int) and not isinstance(value, bool):
            if len(pipeline.variables) > 1:
                raise self._error("a range over a number sets one variable only", pipeline.at)
            return _counted(value)
        raise self._error(f"range cannot go over {go_text(value)!r}", pipeline.at)

    # --- values -----------------------------------------------------------------------------------------------------

    def _pipeline(self, pipeline: nodes.Pipeline, dot: Any) -> Any:
        value: Any = _NONE
        for command in pipeline.commands:
            value = self._command(command, dot, value)
        if pipeline.variables:
            self._keep(pipeline, value)
        return value

    def _keep(self, pipeline: nodes.Pipeline, value: Any) -> None:
        for name in pipeline.variables:
            if pipeline.declares:
                self._variables.append([name, value])
            else:
                self._set(name, value)

    def _command(self, command: nodes.Command, dot: Any, piped: Any) -> Any:
        first, *arguments = command.operands
        if isinstance(first, nodes.Function):
            return self._call(first, arguments, dot, piped)
        if not arguments and piped is _NONE:
            return self._operand(first, dot)
        values = [self._operand(argument, dot) for argument in arguments]
        if piped is not _NONE:
            values.append(piped)
        owner, names = self._owner(first, dot)
        if not names:
            raise self._error("a value takes no arguments", command.at)
        return self._method(self._members(owner, names[:-1], first.at), names[-1], values, first.at)

    def _operand(self, operand: nodes.Operand, dot: Any) -> Any:
        match operand:
            case nodes.Literal():
                return NO_VALUE if operand.value is None else operand.value
            case nodes.Dot():
                return dot
            case nodes.Pipeline():
                return self._pipeline(operand, dot)
            case nodes.Function():
                return self._call(operand, [], dot, _NONE)
        owner, names = self._owner(operand, dot)
        return self._members(owner, names, operand.at)

    def _owner(self, operand: nodes.Operand, dot: Any) -> tuple[Any, tuple[str, ...]]:
        """The value that an operand begins with, and the names of the fields that follow."""
        match operand:
            case nodes.Field():
                return dot, operand.names
            case nodes.Variable():
                return self._variable(operand.name), operand.names
            case nodes.Chain():
                return self._operand(operand.operand, dot), operand.names
        return self._operand(operand, dot), ()

    def _call(self, name: nodes.Function, arguments: list[nodes.Operand], dot: Any, piped: Any) -> Any:
        if name.name in ("and", "or"):
            return self._shortest(name.name, arguments, dot, piped)
        values = [self._operand(argument, dot) for argument in arguments]
        if piped is not _NONE:
            values.append(piped)
        try:
            return self._functions[name.name].call(values)
        except Misuse as misuse:
            raise self._error(f"{name.name}: {misuse}", name.at) from None

    def _shortest(self, name: str, arguments: list[nodes.Operand], dot: Any, piped: Any) -> Any:
        """``and`` and ``or``: the value that decides, or the last; what follows it is not looked at."""
        value: Any = NO_VALUE
        for argument in arguments:
            value = self._operand(argument, dot)
            if truth(value) == (name == "or"):
                return value
        return value if piped is _NONE else piped

    # --- fields and variables ---------------------------------------------------------------------------------------

    def _members(self, value: Any, names: Iterable[str], at: int) -> Any:
        for name in names:
            value = self._member(value, name, at)
        return value

    def _member(self, value: Any, name: str, at: int) -> Any:
        from jackstay.cli.output.docker_types import typed

        if isinstance(value, Map):
            return value.get(name, NO_VALUE)
        if isinstance(value, dict):
            found = typed(value, name)
            if found is NO_VALUE:
                if isinstance(value, Row) and name == "Label":
                    raise self._error('.Label needs a name, as in {{.Label "name"}}', at)
                raise self._unknown(name, value, at)
            return found
        if value is NO_VALUE:
            return NO_VALUE
        if value is None:
            raise self._error(f"no field .{name} of nothing", at, hint="{{with …}} or {{if …}} before it helps")
        raise self._error(f"no field .{name} of {go_text(value)[:40]!r}", at)

    def _method(self, owner: Any, name: str, values: list[Any], at: int) -> Any:
        if isinstance(owner, Row) and owner.labels is not None and name == "Label":
            if len(values) != 1 or not isinstance(values[0], str):
                raise self._error('.Label takes one name, as in {{.Label "name"}}', at)
            return owner.labels.get(values[0], "")
        self._member(owner, name, at)
        raise self._error(f".{name} takes no arguments", at)

    def _unknown(self, name: str, value: Mapping[str, Any], at: int) -> EvaluationError:
        message, hint = unknown_field(name, value)
        return self._error(message, at, hint=hint)

    def _variable(self, name: str) -> Any:
        return next(kept[1] for kept in reversed(self._variables) if kept[0] == name)

    def _set(self, name: str, value: Any) -> None:
        next(kept for kept in reversed(self._variables) if kept[0] == name)[1] = value

    def _error(self, problem: str, at: int, *, hint: str = "") -> EvaluationError:
        return EvaluationError(complaint(problem, self._text, at), hint=hint)


def unknown_field(name: str, known: Iterable[str]) -> tuple[str, str]:
    """What to say of a field that is not there, and of those that are: the nearest, else all."""
    from difflib import get_close_matches

    names = {field.lower(): field for field in known}
    near = get_close_matches(name.lower(), names, 3)
    if near:
        told = " or ".join(f".{names[field]}" for field in near)
        return f"unknown field .{name}, did you mean {told}?", f"fields here: {', '.join(sorted(names.values()))}"
    return f"unknown field .{name}", f"fields here: {', '.join(sorted(names.values()))}" if names else ""


def _counted(count: int) -> Iterator[tuple[int, int]]:
    for at in range(count):
        yield at, at
