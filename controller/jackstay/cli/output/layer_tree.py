"""The layers of images as a tree: images with the same lowest layers share its trunk. Pure: layers in, text out.

A layer is what its ChainID names, so two images share one exactly when all below it is the same, too. A layer that has
one layer above it is followed by that on the next line; only where images part does a branch begin, so that the tree
is no deeper than its images are different.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jackstay.cli.output.names import familiar
from jackstay.cli.output.table import render_table
from jackstay.cli.output.units import ellipsis, human_size, short_id
from jackstay.cli.output.view import Rows

if TYPE_CHECKING:
    from jackstay.client import messages

Object = dict[str, Any]
CREATED_BY_WIDTH = 45
COLUMNS = ("LAYER", "SIZE", "USED BY", "CREATED BY", "IMAGES")


@dataclass(frozen=True, slots=True)
class Strokes:
    """What branches are drawn with, three characters each."""

    branch: str
    last: str
    through: str
    space: str = "   "


UNICODE = Strokes("├─ ", "└─ ", "│  ")
ASCII = Strokes("|- ", "`- ", "|  ")


def strokes(environ: Mapping[str, str]) -> Strokes:
    """Lines where the locale's characters are UTF-8, else ASCII.

    Python itself sets ``LC_CTYPE=C.UTF-8`` where it finds the locale C, so that says nothing of the terminal.
    """
    language = environ.get("LANG", "")
    kind = environ.get("LC_CTYPE", "")
    if kind == "C.UTF-8" and language in ("", "C", "POSIX"):
        kind = ""
    locale = (environ.get("LC_ALL") or kind or language).lower()
    return UNICODE if locale.endswith(("utf-8", "utf8")) or ".utf-8@" in locale or ".utf8@" in locale else ASCII


def layer_tree(images: Sequence[messages.ImageLayers]) -> list[Object]:
    """The trees, a root each: ``ChainID``, ``DiffID``, ``Size`` in bytes, ``CreatedBy``, ``UsedBy`` (how many images
    rest on it), ``Images`` (those whose top it is: ``ID``, ``Names``), ``Children``.

    Images without layers are those of a root without ChainID, which comes last. The order is that of the images.
    """
    nodes: dict[str, Object] = {}
    roots: list[Object] = []
    bare: Object = _node("", "", 0, "")
    for image in images:
        top, siblings = bare, roots
        for layer in image.layers:
            node = nodes.get(layer.chain_id)
            if node is None:
                node = nodes[layer.chain_id] = _node(layer.chain_id, layer.diff_id, layer.size, layer.created_by)
                siblings.append(node)
            node["UsedBy"] += 1
            top, siblings = node, node["Children"]
        if top is bare:
            bare["UsedBy"] += 1
        top["Images"].append({"ID": image.id, "Names": [familiar(name) for name in image.names]})
    return [*roots, bare] if bare["Images"] else roots


def _node(chain_id: str, diff_id: str, size: int, created_by: str) -> Object:
    return {
        "ChainID": chain_id,
        "DiffID": diff_id,
        "Size": size,
        "CreatedBy": created_by,
        "UsedBy": 0,
        "Images": [],
        "Children": [],
    }


@dataclass(frozen=True, slots=True)
class Tree:
    """A table whose first column is the tree; one below the other when several hosts were asked."""

    strokes: Strokes
    full: bool = False
    header: tuple[str, ...] = field(default=COLUMNS)

    def render(self, rows: Rows, several: bool) -> str:
        """The text; of a host without images only the header."""
        tables = [
            (f"{host}:\n" if several else "") + render_table(self.header, list(self._lines(trees)))
            for host, trees in rows
        ]
        return "\n".join(tables)

    def _lines(self, trees: Sequence[Object]) -> Iterator[list[str]]:
        # What is still to be drawn, the next one last: a layer, and what stands before it and before what follows it.
        waiting = self._branches(trees, "") if len(trees) > 1 else [(tree, "", "") for tree in trees]
        waiting.reverse()
        while waiting:
            node, before, after = waiting.pop()
            yield [before + self._name(node["ChainID"]), *self._cells(node)]
            children = node["Children"]
            if len(children) == 1:
                waiting.append((children[0], after, after))
            else:
                waiting.extend(reversed(self._branches(children, after)))

    def _branches(self, nodes: Sequence[Object], before: str) -> list[tuple[Object, str, str]]:
        lines = self.strokes
        drawn = [(node, before + lines.branch, before + lines.through) for node in nodes]
        if drawn:
            drawn[-1] = (nodes[-1], before + lines.last, before + lines.space)
        return drawn

    def _name(self, identifier: str) -> str:
        if not identifier:
            return "<none>"
        return identifier if self.full else short_id(identifier)

    def _cells(self, node: Object) -> list[str]:
        created_by = " ".join(node["CreatedBy"].split())
        names = [", ".join(image["Names"]) or f"<none> ({self._name(image['ID'])})" for image in node["Images"]]
        return [
            human_size(node["Size"]),
            str(node["UsedBy"]),
            created_by if self.full else ellipsis(created_by, CREATED_BY_WIDTH),
            ", ".join(names),
        ]
