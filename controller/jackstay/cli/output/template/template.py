"""A ``--format`` template: parsed once, checked before any host is asked, rendered for every object. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from jackstay.cli.output.template import nodes
from jackstay.cli.output.template.check import check_functions, root_fields
from jackstay.cli.output.template.errors import TemplateError, complaint
from jackstay.cli.output.template.evaluate import Evaluation, unknown_field
from jackstay.cli.output.template.header import Header
from jackstay.cli.output.template.parser import Parser

_TABLE = "table"


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template; ``table`` when its lines are a table's, with a header."""

    text: str
    tree: nodes.Nodes
    table: bool = False

    @property
    def fields(self) -> frozenset[str]:
        """The first names of the fields that it takes from the object itself."""
        return frozenset(name for name, _ in root_fields(self.tree))

    def check_fields(self, known: Collection[str]) -> None:
        """Refuse fields that the objects will not have.

        Raises:
            TemplateError: the first such field, with the nearest that there are.
        """
        for name, at in root_fields(self.tree):
            if name not in known:
                message, hint = unknown_field(name, known)
                raise TemplateError(complaint(message, self.text, at), hint=hint)

    def render(self, value: Mapping[str, Any]) -> str:
        """The text for one object.

        Raises:
            EvaluationError: the template does not fit the object.
        """
        return Evaluation(self.text, value).run(self.tree)

    def header(self, titles: Mapping[str, str]) -> str:
        """The header of a table: the template with the columns' titles in place of their values.

        Fields without a title have their last name in capitals. As with docker, what can only be done with a value
        leaves the header as far as it came.
        """
        return Header(self.text, titles).run(self.tree)


def parse_template(text: str, *, listing: bool = True) -> Template:
    r"""The template that ``text`` writes; ``json`` alone means ``{{json .}}``, ``table …`` a table.

    ``listing``: it is for a listing, where docker reads ``\t`` and ``\n`` as a tab and a new line and knows ``table``.

    Raises:
        TemplateError: malformed, or of the parts of Go's language that are not here: define, template, block.
    """
    text = "{{json .}}" if text.strip() == "json" else text.encode("utf-8", "replace").decode()
    start, end = 0, len(text)
    table = listing and text.startswith(_TABLE)
    if table:
        start = len(_TABLE)
    if listing:
        while start < end and text[start] == " ":
            start += 1
        while end > start and text[end - 1] == " ":
            end -= 1
    tree = Parser(text, start, end, escapes=listing).parse()
    check_functions(text, tree)
    return Template(text, tree, table)
