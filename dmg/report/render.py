"""How every page is made: one layout, one style, figures inside the file."""

from __future__ import annotations

import base64
from importlib.resources import files
from typing import Any, NamedTuple

import jinja2
from matplotlib.figure import Figure

from dmg import plots


class Picture(NamedTuple):
    """A figure on a page."""

    source: str
    alt: str
    caption: str
    heading: str = ""


def picture(figure: Figure, alt: str, caption: str, heading: str = "") -> Picture:
    """Put a figure into a page as SVG."""
    data = base64.b64encode(plots.svg(figure)).decode("ascii")
    return Picture(f"data:image/svg+xml;base64,{data}", alt, caption, heading)


def duration(seconds: float) -> str:
    """Print seconds in the unit that suits them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def render(template: str, package: str = "dmg.report", **content: Any) -> str:
    """Fill a template that lies in a package and extends `layout.html`."""
    shared, own = files("dmg.report"), files(package)
    pages = {
        "layout.html": (shared / "layout.html").read_text(encoding="utf-8"),
        template: (own / template).read_text(encoding="utf-8"),
    }
    environment = jinja2.Environment(
        loader=jinja2.DictLoader(pages), autoescape=True, undefined=jinja2.StrictUndefined
    )
    css, script = ((shared / n).read_text(encoding="utf-8") for n in ("page.css", "page.js"))
    return environment.get_template(template).render(css=css, script=script, **content)
