"""Check a built site: nothing that a browser would fetch from elsewhere, and no link inside it that leads nowhere.

    python scripts/check_site.py FOLDER

Prints what is wrong, then every address outside that a page links to. Exits with 1 if something is wrong.
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

FETCHED = {
    ("link", "href"), ("script", "src"), ("img", "src"), ("source", "src"), ("iframe", "src"), ("video", "src"),
    ("audio", "src"), ("object", "data"), ("embed", "src"),
}  # fmt: skip
_IN_STYLES = re.compile(r"(?:url\(|@import )\s*['\"]?((?:https?:)?//[^'\")\s]+)")


class Page(HTMLParser):
    """What a page fetches, where it links to, and the places in it that links may lead to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag names."""
        of_tag = {name: value or "" for name, value in attrs}
        self.places |= {of_tag[name] for name in ("id", "name") if name in of_tag}
        for name, value in of_tag.items():
            if (tag, name) in FETCHED and of_tag.get("rel") not in ("canonical", "prev", "next"):
                self.fetched.append(value)
            elif tag == "a" and name == "href":
                self.links.append(value)


def outside(address: str) -> bool:
    """Whether an address is of another host."""
    return bool(urlsplit(address).netloc)


def problems(root: Path) -> tuple[list[str], list[str]]:
    """What is wrong with a site, and the addresses outside that it links to."""
    pages = {path: Page(path.read_text("utf-8")) for path in sorted(root.rglob("*.html"))}
    wrong, addresses = [], set()
    for path, page in pages.items():
        name = path.relative_to(root).as_posix()
        wrong += [f"{name}: fetches {address}" for address in page.fetched if outside(address)]
        addresses |= {link for link in page.links if outside(link)}
        inner = [link for link in page.links if not urlsplit(link).scheme and not outside(link)]
        wrong += [f"{name}: {link} leads nowhere" for link in inner if not _leads_somewhere(link, path, pages)]
    for path in root.rglob("*.css"):
        found = _IN_STYLES.findall(path.read_text("utf-8"))
        wrong += [f"{path.relative_to(root).as_posix()}: fetches {address}" for address in found]
    return wrong, sorted(addresses)


def _leads_somewhere(link: str, path: Path, pages: dict[Path, Page]) -> bool:
    parts = urlsplit(link)
    if path.name == "404.html":  # which a server shows at any address, so that its links are the server's
        return True
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if target.is_dir():
        target /= "index.html"
    if not target.exists():
        return False
    return not parts.fragment or target not in pages or unquote(parts.fragment) in pages[target].places


def main(folder: str) -> int:
    """Print what is found, and give the exit code."""
    wrong, addresses = problems(Path(folder).resolve())
    print(*wrong, sep="\n", end="\n" if wrong else "")
    print(f"{len(addresses)} addresses outside are linked to:", *addresses, sep="\n  ")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
