"""What can be said of a template before there is an object: the fields it uses, and how many values functions get."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from jackstay.cli.output.template import nodes
from jackstay.cli.output.template.errors import TemplateError, complaint
from jackstay.cli.output.template.functions import FUNCTIONS


def check_functions(text: str, tree: nodes.Nodes) -> None:
    """Refuse functions with too few or too many values, and values with arguments. Raises :class:`TemplateError`."""
    for command, given in _commands(tree):
        first, *rest = command.operands
        count = len(rest) + given
        if isinstance(first, nodes.Function):
            function = FUNCTIONS[first.name]
            if count < function.least or (function.most is not None and count > function.most):
                wanted = _wanted(function.least, function.most)
                raise TemplateError(complaint(f"{first.name} takes {wanted}, not {count}", text, command.at))
        elif isinstance(first, nodes.Literal) and first.value is None:
            raise TemplateError(complaint("nil is no command", text, command.at))
        elif count and not isinstance(first, nodes.Field | nodes.Variable | nodes.Chain):
            raise TemplateError(complaint("a value takes no arguments", text, command.at))


def _wanted(least: int, most: int | None) -> str:
    if most is None:
        return f"at least {_values(least)}"
    return _values(least) if least == most else f"{least} to {_values(most)}"


def _values(count: int) -> str:
    return f"{count} value" if count == 1 else f"{count} values"


def root_fields(tree: nodes.Nodes) -> Iterator[tuple[str, int]]:
    """The first name and the place of every field of the object itself, also of ``$``."""
    return _fields_of(tree, at_root=True)


def _fields_of(tree: nodes.Nodes, *, at_root: bool) -> Iterator[tuple[str, int]]:
    for node in tree:
        if isinstance(node, nodes.Action):
            yield from _used(node.pipeline, at_root)
        elif isinstance(node, nodes.Control):
            yield from _used(node.pipeline, at_root)
            yield from _fields_of(node.body, at_root=at_root and node.keyword == "if")
            yield from _fields_of(node.otherwise, at_root=at_root)


def _used(operand: nodes.Operand, at_root: bool) -> Iterator[tuple[str, int]]:
    match operand:
        case nodes.Field() if at_root:
            yield operand.names[0], operand.at
        case nodes.Variable("$", names) if names:
            yield names[0], operand.at
        case nodes.Chain():
            if at_root and isinstance(operand.operand, nodes.Dot):
                yield operand.names[0], operand.at
            yield from _used(operand.operand, at_root)
        case nodes.Pipeline():
            for command in operand.commands:
                for inner in command.operands:
                    yield from _used(inner, at_root)
        case _:
            pass


def _commands(tree: nodes.Nodes) -> Iterator[tuple[nodes.Command, bool]]:
    """Every command, and whether a pipe gives it one more value."""
    for node in tree:
        if isinstance(node, nodes.Action):
            yield from _of_pipeline(node.pipeline)
        elif isinstance(node, nodes.Control):
            yield from _of_pipeline(node.pipeline)
            yield from _commands(node.body)
            yield from _commands(node.otherwise)


def _of_pipeline(pipeline: nodes.Pipeline) -> Iterator[tuple[nodes.Command, bool]]:
    for at, command in enumerate(pipeline.commands):
        yield command, at > 0
        for operand in _bare(command.operands):
            yield from _of_pipeline(operand) if isinstance(operand, nodes.Pipeline) else _alone(operand)


def _bare(operands: Iterable[nodes.Operand]) -> Iterator[nodes.Pipeline | nodes.Function]:
    """The pipelines in parentheses among operands, and the functions that stand as arguments, without any."""
    for at, operand in enumerate(operands):
        inner = operand.operand if isinstance(operand, nodes.Chain) else operand
        if isinstance(inner, nodes.Pipeline) or (isinstance(inner, nodes.Function) and (at or inner is not operand)):
            yield inner


def _alone(function: nodes.Function) -> Iterator[tuple[nodes.Command, bool]]:
    yield nodes.Command((function,)), False
