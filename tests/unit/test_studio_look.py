"""How the studio looks: colours that can be read by everybody, and nothing that its policy forbids."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

WEB = Path(__file__).parents[2] / "web"
SHEETS = sorted((WEB / "static").glob("studio*.css"))
PAGES = sorted((WEB / "pages" / "studio").glob("*.html"))
STYLE = (WEB / "static" / "studio.css").read_text(encoding="utf-8")

# What WCAG 2.2 asks for at level AA: of text, and of the edges of what can be used.
TEXT, EDGE = 4.5, 3.0
GROUNDS = ("paper", "card", "raised")
PAIRS: tuple[tuple[str, str, float], ...] = (
    *((ink, ground, TEXT) for ink in ("ink", "muted", "go", "go-strong") for ground in GROUNDS),
    *((edge, ground, EDGE) for edge in ("edge", "go", "danger", "error") for ground in ("paper", "card")),
    *((f"on-{button}", f"{button}{more}", TEXT) for button in ("go", "danger") for more in ("", "-strong")),
    *((kind, f"{kind}-paper", TEXT) for kind in ("info", "success", "warning", "error")),
    *((kind, ground, TEXT) for kind in ("info", "success", "warning", "error") for ground in GROUNDS),
    *(("ink", f"{kind}-paper", TEXT) for kind in ("info", "success", "warning", "error")),
)


def scheme(name: str) -> dict[str, str]:
    """Read the colours of the light or the dark scheme."""
    blocks = re.findall(r":root \{(.*?)\}", STYLE, flags=re.DOTALL)
    assert len(blocks) == 2
    light, dark = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block)) for block in blocks)
    assert set(dark) == set(light)
    return light if name == "light" else dark


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_reckoned_as_the_standard_does() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("name", ["light", "dark"])
def test_everything_can_be_read(name: str) -> None:
    colours = scheme(name)
    weak = {
        (ink, ground): round(contrast(colours[ink], colours[ground]), 2)
        for ink, ground, least in PAIRS
        if contrast(colours[ink], colours[ground]) < least
    }
    assert weak == {}


def test_colours_are_named_in_one_place() -> None:
    # A mail brings its own colours, made for white.
    allowed = {"#fff", "#ffffff"}
    for sheet in SHEETS:
        text = re.sub(r":root \{.*?\}|/\*.*?\*/", "", sheet.read_text(encoding="utf-8"), flags=re.DOTALL)
        values = " ".join(re.findall(r":([^;{}]*);", text))
        assert set(re.findall(r"#[0-9a-fA-F]{3,8}\b", values)) <= allowed, sheet.name
        assert not re.search(r"\b(?:rgb|hsl|white|black|red|green|blue|gray)\b", values), sheet.name


def test_every_colour_that_is_used_is_there() -> None:
    for sheet in SHEETS:
        text = sheet.read_text(encoding="utf-8")
        there = set(re.findall(r"--([\w-]+):", STYLE)) | set(re.findall(r"--([\w-]+):", text))
        assert set(re.findall(r"var\(--([\w-]+)\)", text)) <= there, sheet.name


@pytest.mark.parametrize("sheet", ["studio.css", "studio-campaigns.css"])
def test_a_sheet_lists_the_classes_that_pages_are_made_of(sheet: str) -> None:
    own, _, rest = (WEB / "static" / sheet).read_text(encoding="utf-8").partition("*/")
    heading = own + STYLE.partition("*/")[0]
    rules = re.sub(r"/\*.*?\*/|\{[^{}]*\}", " ", rest, flags=re.DOTALL)
    used = {name for name in re.findall(r"\.([a-z][\w-]*)", rules) if not name.startswith("htmx-request")}
    assert used
    assert {name for name in used if not re.search(rf"(?<![\w-]){name}(?![\w-])", heading)} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.name))
def test_a_page_keeps_style_and_script_outside(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:|hx-on|\|\s*safe\b", text)
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", text))
    assert not re.search(r"https?://(?!www\.w3\.org/)", text)
