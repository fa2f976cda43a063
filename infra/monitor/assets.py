"""The page's files, and the library that draws its charts: read once, packed once, kept by browsers for good.

Their path holds a digest of all of them, so that a browser which has them need not ask, and one that has older ones
does not mix the two.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files

PREFIX = "/assets/"
KINDS = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml", "html": "text/html"}
CHARTS = "plotly.min.js"
GZIP_LEVEL = 6

_OWN_STYLES = re.compile(rb'getElementById\("([0-9a-f]{64})"\)')


@dataclass(frozen=True)
class Asset:
    """A file: its bytes as they are, and packed."""

    name: str
    plain: bytes

    @property
    def kind(self) -> str:
        """Its media type."""
        return KINDS[self.name.rpartition(".")[2]]

    @cached_property
    def packed(self) -> bytes:
        """With gzip."""
        return gzip.compress(self.plain, GZIP_LEVEL, mtime=0)


class Assets:
    """All files of the page. ``index`` is the page itself."""

    def __init__(self) -> None:
        folder = files("infra.monitor") / "page"
        own = {each.name: each.read_bytes() for each in folder.iterdir() if each.name.rpartition(".")[2] in KINDS}
        page = own.pop("index.html").decode()
        own[CHARTS] = (files("plotly") / "package_data" / CHARTS).read_bytes()
        digest = hashlib.sha256()
        for name in sorted(own):
            digest.update(f"{name} {len(own[name])} ".encode() + own[name])
        self.path = f"{PREFIX}{digest.hexdigest()[:16]}/"
        self._files = {name: Asset(name, content) for name, content in own.items()}
        self.index = Asset(
            "index.html", page.replace("{assets}/", self.path).replace("{styles}", self._shams()).encode()
        )

    def _shams(self) -> str:
        """Elements by whose names the charts' library finds that its own style sheets are there already.

        It would put them into the page (they are those of maps), which the content security policy forbids.
        """
        names = sorted(set(_OWN_STYLES.findall(self._files[CHARTS].plain)))
        return "".join(f'<meta name="no-style" id="{name.decode()}">' for name in names)

    def get(self, path: str) -> Asset | None:
        """The file that is served at this path."""
        return self._files.get(path.removeprefix(self.path)) if path.startswith(self.path) else None
