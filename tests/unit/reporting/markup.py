"""Reads a page as a browser's parser would, and keeps what tests ask about."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"meta", "link", "br", "img", "input", "hr", "wbr"}
LOADING = {"src", "srcset", "href", "xlink:href", "action", "formaction", "poster", "data", "background", "ping"}


class Markup(HTMLParser):
    """Tags, links, handlers and text of a page; `unclosed` and `misnested` must stay empty."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.misnested: list[str] = []
        self.styles = ""
        self.words: list[str] = []
        self.ids: list[str] = []
        self.images_without_words = 0
        self._open: list[str] = []
        self.feed(text)
        self.close()

    @property
    def unclosed(self) -> list[str]:
        """Elements without an end."""
        return self._open

    @property
    def text(self) -> str:
        """What a reader reads, with single spaces."""
        return " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        named = dict(attrs)
        self.addresses += [value or "" for name, value in attrs if name in LOADING]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        self.styles += " ".join(value or "" for name, value in attrs if name == "style")
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.images_without_words += named.get("role") == "img" and not named.get("aria-label")
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.misnested.append(tag)

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "style":
            self.styles += data
        else:
            self.words.append(data)
