"""What images take on disk, from the rows of their snapshots. Pure over values read once."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ImageSize:
    """Bytes unpacked: of all layers, and of those that other images use too."""

    total: int
    shared: int


class LayerSizes:
    """The unpacked layers of this host: sizes by ChainID, and who rests on whom."""

    def __init__(self, layers: dict[str, tuple[str | None, int]]) -> None:
        self._layers = layers  # ChainID → (the ChainID below, bytes)

    @classmethod
    def read(cls, connection: sqlite3.Connection) -> LayerSizes:
        """All committed snapshots."""
        rows = connection.execute(
            "SELECT s.key, p.key AS parent, s.size FROM snapshots s LEFT JOIN snapshots p ON s.parent = p.id "
            "WHERE s.kind = 'committed'"
        )
        return cls({row["key"]: (row["parent"], int(row["size"])) for row in rows})

    def chain(self, chain_id: str) -> list[str]:
        """The ChainIDs from *chain_id* down to the lowest."""
        found = []
        current: str | None = chain_id or None
        while current is not None and current in self._layers:
            found.append(current)
            current = self._layers[current][0]
        return found

    def size(self, chain_id: str) -> int:
        """Bytes of the one layer that *chain_id* is the top of."""
        return self._layers[chain_id][1] if chain_id in self._layers else 0

    def total(self, chain_id: str) -> int:
        """Bytes of all layers down from *chain_id*."""
        return sum(self.size(layer) for layer in self.chain(chain_id))

    def of_images(self, images: Iterable[tuple[str, str]]) -> dict[str, ImageSize]:
        """Sizes by top ChainID, for *images* by id and top ChainID.

        A layer is shared when images of several ids rest on it; an id that comes twice is one image.
        """
        tops = Counter(top for _, top in set(images))
        uses: Counter[str] = Counter()
        for top, count in tops.items():
            for layer in self.chain(top):
                uses[layer] += count
        sizes = {"": ImageSize(0, 0)}
        for top in tops:
            for layer in reversed(self.chain(top)):
                if layer not in sizes:
                    parent, size = self._layers[layer]
                    below = sizes[parent or ""]
                    sizes[layer] = ImageSize(below.total + size, below.shared + (size if uses[layer] > 1 else 0))
        return {top: sizes.get(top, ImageSize(0, 0)) for top in tops}
