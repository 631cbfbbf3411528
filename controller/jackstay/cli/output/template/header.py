"""A table's header: the template with titles in place of the fields' values, as docker makes it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jackstay.cli.output.template import nodes
from jackstay.cli.output.template.errors import EvaluationError
from jackstay.cli.output.template.evaluate import Evaluation
from jackstay.cli.output.template.functions import FUNCTIONS, Function, Values


def _unchanged(values: Values) -> Any:
    return values[0]


_FUNCTIONS: Mapping[str, Function] = {
    **FUNCTIONS,
    **{
        name: Function(_unchanged, 1, None) for name in ("json", "join", "lower", "split", "title", "truncate", "upper")
    },
}
"""A title passes through these as it is."""


class Header(Evaluation):
    """One run of a template for its header."""

    def __init__(self, text: str, titles: Mapping[str, str]) -> None:
        super().__init__(text, {}, _FUNCTIONS)
        self._titles = titles

    def run(self, tree: nodes.Nodes) -> str:
        """The header. What can only be done with a value ends it: the rest has no title."""
        try:
            return super().run(tree)
        except EvaluationError:
            return "".join(self._printed)

    def _member(self, value: Any, name: str, at: int) -> Any:
        return self._titles.get(name) or name.upper()

    def _method(self, owner: Any, name: str, values: list[Any], at: int) -> Any:
        """``.Label "com.example.the-tier"`` is called ``the tier``."""
        label = str(values[0]) if values else name
        return label.rpartition(".")[2].replace("-", " ").replace("_", " ")
