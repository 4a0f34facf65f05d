"""Reading pages back: elements, their attributes and their text."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"img", "meta"}


class Document(HTMLParser):
    """All elements of a page; a tag that is not closed in turn is an error."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str], list[str]]] = []
        self._open: list[int] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {key: value or "" for key, value in attrs}, []))
        if tag not in VOID:
            self._open.append(len(self.elements) - 1)

    def handle_endtag(self, tag: str) -> None:
        assert self.elements[self._open.pop()][0] == tag

    def handle_data(self, data: str) -> None:
        for index in self._open:
            self.elements[index][2].append(data)

    def text(self, tag: str) -> list[str]:
        """The text of every element of a kind."""
        return ["".join(words) for name, _, words in self.elements if name == tag]

    def attributes(self, tag: str, key: str) -> list[str]:
        """An attribute of every element of a kind that has it."""
        return [a[key] for name, a, _ in self.elements if name == tag and key in a]

    def tags(self) -> set[str]:
        return {name for name, _, _ in self.elements}


def parse(page: str) -> Document:
    document = Document()
    document.feed(page)
    document.close()
    return document
