"""The explorer as a page: drawn, driven by mouse, keys and touch, linked, self-contained, and written whole."""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from analysis.outlets import explorer_page
from analysis.outlets.explorer_page import ExplorerError, write_explorer
from tests.analysis.chromium import Page, browser_page
from tests.analysis.html_elements import Elements

LARGEST_BYTES = 500_000
# The first sight, and two that fill the screen.
PHONE_VIEWS = (
    "",
    "#d=96,64,32,16,8,4,2,1&n=4&show=paths",
    "#d=1,2,4,8,16,32&n=2&map=96x96&way=out&ends=padded&show=share&s=2.5",
)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_explorer(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """One browser for all tests; each opens the page afresh."""
    with browser_page() as page:
        yield page


def weave(page: Page) -> str:
    """The tapestry's pixels, as one comparable text."""
    return str(page.evaluate("document.getElementById('weave').toDataURL()"))


def maps(page: Page) -> list[str]:
    """The small maps' pixels."""
    return list(page.evaluate("[...document.querySelectorAll('#maps canvas')].map(one => one.toDataURL())"))


def unit(page: Page) -> list[int]:
    """Map, row and column of the unit that is shown."""
    return [int(one) for one in page.evaluate("document.documentElement.dataset.unit").split(",")]


def text(page: Page, name: str) -> str:
    """What an element says, with plain spaces."""
    return str(page.evaluate(f"document.getElementById({name!r}).textContent")).replace("\xa0", " ")


def middle(page: Page, selector: str) -> tuple[float, float, float, float]:
    """Centre, width and height of an element that has been scrolled into sight."""
    box = page.evaluate(
        f"(() => {{ const one = document.querySelector({selector!r}); one.scrollIntoView({{block: 'center'}}); "
        "const b = one.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2, b.width, b.height]; })()"
    )
    return box[0], box[1], box[2], box[3]


def shades(page: Page, row: int, rows: int) -> dict[str, list[list[int]]]:
    """Columns of the tapestry where a colour stands, in the upper and the lower half of one band from the top."""
    script = f"""(() => {{
      const canvas = document.getElementById('weave'), band = (canvas.height - 22) / (2 * {rows} - 1), found = {{}};
      for (const name of ['one', 'two', 'both']) {{
        const hex = getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim();
        found[name] = [0.25, 0.75].map(part => {{
          const y = Math.round(2 * {row} * band + part * band);
          const data = canvas.getContext('2d').getImageData(0, y, canvas.width, 1).data, columns = [];
          for (let x = 0; x < canvas.width; x++) {{
            const rgb = '#' + [...data.slice(4 * x, 4 * x + 3)].map(v => v.toString(16).padStart(2, '0')).join('');
            if (rgb === hex) columns.push(x);
          }}
          return columns;
        }});
      }}
      return found;
    }})()"""
    return dict(page.evaluate(script))


def test_the_first_sight(page: Page, written: Path) -> None:
    page.open(written)
    assert text(page, "verdict").startswith("DPM covers its whole field of 127 × 127 inputs without a hole")
    assert "share 88.2 % on average, nowhere less than 66.7 %" in text(page, "verdict")
    assert "reads 127 positions" in text(page, "says")
    assert page.complaints == []
    assert page.loaded == [written.as_uri()]
    assert len(page.screenshot()) > 10_000


def test_a_pyramids_neighbours_share_and_its_reverses_do_not(page: Page, written: Path) -> None:
    """In the drawing, by place as well as by colour: the unit above, its neighbour below, both throughout."""
    page.open(written)
    for row in range(1, 7):
        found = shades(page, row, 7)
        assert found["both"][0], "shared"
        assert found["both"][0] == found["both"][1]
    page.open(written, "#d=1,2,4,8,16,32")
    for row in range(1, 6):
        found = shades(page, row, 7)
        assert found["both"] == [[], []], f"nothing shared on map {6 - row}"
        assert found["one"][0]
        assert found["two"][1]
        assert found["one"][1] == found["two"][0] == []
    assert shades(page, 6, 7)["both"][0], "and nearly all of the input"
    assert "share nothing in any map in between" in text(page, "verdict")
    assert "1,024 groups" in text(page, "verdict")


def test_a_slider_moves_the_picture(page: Page, written: Path) -> None:
    page.open(written)
    before, small = weave(page), maps(page)
    page.evaluate("document.querySelector('#layers input[type=range]').focus()")
    page.press("ArrowRight")
    assert page.evaluate("document.getElementById('list').value") == "32, 16, 8, 4, 2, 2"
    assert weave(page) != before
    assert maps(page) != small
    assert "leaves holes" in text(page, "verdict")
    page.press("ArrowLeft")
    assert weave(page) == before
    assert maps(page) == small


def test_every_control_changes_what_is_shown(page: Page, written: Path) -> None:
    page.open(written)
    controls = (
        "[name=modules][value='2']", "[name=way][value=out]", "[name=show][value=paths]", "[name=ends][value=padded]",
        "[data-map='32x24']", "#presets button:nth-child(4)", "#reverse", "#add", "#layers button:not(:disabled)",
    )  # fmt: skip
    seen = [(weave(page), maps(page))]
    for selector in controls:
        page.evaluate(f"document.querySelector({selector!r}).click()")
        page.settle()
        seen.append((weave(page), maps(page)))
    idle = [selector for selector, (before, after) in zip(controls, pairwise(seen), strict=True) if before == after]
    assert idle == ["#reverse"], "only the order of a constant schedule is no change"
    page.evaluate("document.querySelector('[name=show][value=share]').click()")
    page.settle()
    before = weave(page)
    page.evaluate("document.getElementById('strength').focus()")
    page.press("ArrowRight")
    assert weave(page) != before
    assert page.complaints == []


def test_layers_move_and_the_focus_goes_with_them(page: Page, written: Path) -> None:
    page.open(written)
    move = (
        "[...document.querySelectorAll('#layers button')].find(one => one.title === 'Move layer 1 towards the output')"
    )
    page.evaluate(f"{move}.click()")
    page.settle()
    assert page.evaluate("document.getElementById('list').value") == "16, 32, 8, 4, 2, 1"
    assert page.evaluate("document.activeElement.title") == "Move layer 2 towards the output"


def test_the_cone_follows_the_mouse_and_stays_where_it_is_put(page: Page, written: Path) -> None:
    page.open(written)
    home, before = unit(page), weave(page)
    x, y, width, height = middle(page, "#weave")
    page.point(x + width / 4, y)
    assert unit(page) != home
    assert unit(page)[2] > home[2]
    assert weave(page) != before
    page.point(2, 2)
    assert unit(page) == home
    assert weave(page) == before
    x, y, width, height = middle(page, "#weave")
    page.click(x - width / 4, y - height / 2 + 8)
    placed = unit(page)
    page.point(2, 2)
    assert unit(page) == placed
    assert (placed[0], placed[2] < home[2]) == (6, True)


def test_the_cone_follows_the_mouse_over_the_small_maps(page: Page, written: Path) -> None:
    page.open(written)
    x, y, width, height = middle(page, "#maps canvas[data-map='5']")
    page.point(x + width / 4, y - height / 4)
    assert unit(page) == [5, 16, 36]
    assert text(page, "says").startswith("The unit at 12 of map 5 (row 16, column 36 of the small maps) reads")


def test_the_cone_follows_the_keys(page: Page, written: Path) -> None:
    page.open(written)
    home, says = unit(page), text(page, "says")
    first = shades(page, 0, 7)["one"][0]
    page.evaluate("document.getElementById('weave').focus()")
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "ArrowRight"):
        page.press(key)
    assert unit(page) == [home[0], home[1], home[2] + 2]
    assert min(shades(page, 0, 7)["one"][0]) > max(first)
    assert text(page, "says") != says
    page.press("ArrowDown")
    assert unit(page)[0] == 5
    page.evaluate("document.getElementById('maps').focus()")
    for key in ("ArrowUp", "PageDown"):
        page.press(key)
    assert unit(page) == [4, home[1] - 1, home[2] + 2]
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_the_cone_follows_a_finger(page: Page, written: Path) -> None:
    page.open(written, width=380)
    x, y, width, height = middle(page, "#weave")
    page.tap(x + width / 4, y - height / 2 + 6)
    assert (unit(page)[0], unit(page)[2] > 24) == (6, True)
    placed = unit(page)
    page.wait("location.hash.includes('at=')")
    assert page.evaluate("location.hash").endswith("at=" + ",".join(map(str, placed)))


def test_everything_is_reached_by_tab_and_has_a_name(page: Page, written: Path) -> None:
    page.open(written)
    wanted = (
        "[...document.querySelectorAll('a[href], button, input, summary, [tabindex=\"0\"]')].filter(one => "
        "!one.disabled && one.checkVisibility() && !(one.type === 'radio' && !one.checked))"
    )
    count = page.evaluate(f"window.wanted = {wanted}; window.reached = new Set(); wanted.length")
    assert count > 40
    for _ in range(count + 2):
        page.press("Tab")
        page.evaluate("reached.add(document.activeElement); 0")
    assert page.evaluate("wanted.filter(one => !reached.has(one)).map(one => one.outerHTML)") == []
    nameless = "one => !(one.labels?.length || one.getAttribute('aria-label') || one.textContent.trim())"
    assert (
        page.evaluate(f"[...document.querySelectorAll('button, input, canvas[tabindex]')].filter({nameless}).length")
        == 0
    )


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(
    "address",
    [
        "",
        "#d=96,64,32,16,8,4,2,1&n=4&show=paths",
        "#d=1,2,4,8,16,32&n=2&map=96x96&way=out&ends=padded&show=share&s=2.5",
    ],
)
def test_nothing_overflows_on_a_phone(page: Page, written: Path, address: str, dark: bool) -> None:
    page.open(written, address, width=380, height=800, dark=dark)
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    page.settle()
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 380
    assert page.complaints == []


def test_light_and_dark_differ(page: Page, written: Path) -> None:
    seen = []
    for dark in (False, True):
        page.open(written, dark=dark)
        seen.append((weave(page), page.evaluate("getComputedStyle(document.documentElement).backgroundColor")))
    assert seen[0][0] != seen[1][0]
    assert [background for _, background in seen] == ["rgb(254, 254, 253)", "rgb(22, 24, 27)"]


def test_a_link_brings_back_the_view(page: Page, written: Path) -> None:
    page.open(written, "#d=3,5,1&n=2&map=40x30&ends=padded&show=share&way=out&s=2&at=1,7,9")
    assert unit(page) == [1, 7, 9]
    page.evaluate("document.querySelector('[name=modules][value=\"3\"]').click()")
    page.wait("location.hash.includes('n=3')")
    address, seen = page.evaluate("location.hash"), (weave(page), maps(page), text(page, "says"))
    page.open(written, address)
    assert (weave(page), maps(page), text(page, "says")) == seen
    page.evaluate("location.hash = '#d=1,2,4,8,16,32'")
    page.settle()
    assert text(page, "verdict").startswith("Reversed DPM")


@pytest.mark.parametrize(
    "address",
    [
        "#d=<img src=x onerror=alert(1)>&n=<b>&map=<script>alert(1)</script>",
        "#d=99999,0,-3,1e9,7&n=999&map=99999x99999&s=1e308&at=999,999,99999",
        "#d=1,1,1,1,1,1,1,1,1,1,1,1&n=0&map=0x0&s=-5&at=-1,-1,-99999",
        "#%E0%A4%A&d=%3Cimg%3E",
        "#__proto__=1&constructor=2&d=__proto__&show=__proto__&way=toString&ends=",
        "#d=NaN,Infinity&n=NaN&map=NaNxNaN&s=NaN&at=NaN,NaN,NaN",
        "#" + "d=9," * 5000,
    ],
)
def test_a_hostile_address_is_clamped_or_ignored(page: Page, written: Path, address: str) -> None:
    page.open(written)
    known = page.evaluate("document.querySelectorAll('*').length - document.querySelectorAll('#layers *').length")
    page.open(written, address)
    assert page.complaints == []
    assert page.loaded == [written.as_uri() + page.evaluate("location.hash")] or page.loaded == [written.as_uri()]
    assert page.evaluate("document.querySelectorAll('img, b:empty, iframe').length") == 0
    assert page.evaluate("document.querySelectorAll('script').length") == 2
    assert known > 100
    dilations = [int(one) for one in page.evaluate("document.getElementById('list').value").split(", ")]
    assert 1 <= len(dilations) <= 8
    assert all(1 <= d <= 96 for d in dilations)
    assert all(
        2 <= int(page.evaluate(f"document.getElementById({side!r}).value")) <= 96 for side in ("height", "width")
    )
    assert 1 <= int(page.evaluate("document.querySelector('[name=modules]:checked').value")) <= 4
    assert 0 <= float(page.evaluate("document.getElementById('strength').value")) <= 10
    k, y, _ = unit(page)
    assert 0 <= k <= 32
    assert 0 <= y < 96
    assert (
        re.search(r"NaN|undefined|Infinity|null", text(page, "says") + text(page, "cards") + text(page, "verdict"))
        is None
    )


def test_a_1x1_convolution_is_told(page: Page, written: Path) -> None:
    page.open(written, "#map=32x24")
    assert "a 1×1 convolution here" in text(page, "numbers")
    assert text(page, "numbers").count("convolution here") == 1
    assert "11.1 %" in text(page, "numbers")
    assert "63.4 %" in text(page, "cards")
    page.open(written)
    assert "convolution here" not in text(page, "numbers")


def test_rounded_counts_are_told(page: Page, written: Path) -> None:
    page.open(written, "#show=paths")
    assert "rounded" not in text(page, "maps-key")
    page.open(written, "#show=paths&n=4")
    assert "Counts above 2⁵³ are rounded" in text(page, "maps-key")
    assert "rounded" not in text(page, "tapestry-key"), "one row has fewer paths"


def test_the_time_of_a_redraw_is_told(page: Page, written: Path) -> None:
    page.open(written, "#n=4")
    drawn = int(page.evaluate("document.documentElement.dataset.redraws"))
    page.evaluate("document.getElementById('weave').focus()")
    page.press("ArrowLeft")
    assert int(page.evaluate("document.documentElement.dataset.redraws")) == drawn + 1
    assert float(page.evaluate("document.documentElement.dataset.redrawMs")) > 0


def test_a_complaint_would_be_noticed(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "loud.html"
    path.write_text(
        "<img src=missing.png><script>console.error('told'); setTimeout(() => { throw Error('thrown'); })</script>"
    )
    page.open(path)
    page.settle()
    said = "\n".join(page.complaints)
    assert "told" in said
    assert "thrown" in said
    assert any(one.endswith("missing.png") for one in page.loaded)


# ---- the file ----


def test_the_file_stands_alone(written: Path) -> None:
    text = written.read_text(encoding="utf-8")
    assert len(text.encode()) <= LARGEST_BYTES
    elements = Elements(text)
    assert {tag for tag, _ in elements.found}.isdisjoint({"link", "img", "iframe", "object", "embed"})
    assert elements.values("src") == []
    assert all(link.startswith("#") for link in elements.values("href"))
    assert (
        re.findall(
            r"https?:|@import|url\(|fetch\(|XMLHttpRequest|import\(", text.replace(explorer_page.STYLE.read_text(), "")
        )
        == []
    )
    assert re.findall(r"transition|animation|@keyframes", text) == [], "nothing moves for those who asked for that"
    assert re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", text) == []
    names = elements.values("id")
    assert len(names) == len(set(names))
    for attribute in ("for", "aria-labelledby", "aria-describedby"):
        assert set(elements.values(attribute)) <= set(names)


def test_writing_is_whole_or_not_at_all(tmp_path: Path) -> None:
    path = write_explorer(tmp_path / "new" / "report")
    assert path == tmp_path / "new" / "report" / "explorer.html"
    first = path.read_bytes()
    assert write_explorer(path.parent).read_bytes() == first
    assert [one.name for one in path.parent.iterdir()] == ["explorer.html"]


def test_what_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(ExplorerError, match=r"file/explorer.html cannot be written \(.*\); name a folder that can"):
        write_explorer(tmp_path / "file")
    taken = tmp_path / "taken" / "explorer.html" / "kept"
    taken.mkdir(parents=True)
    with pytest.raises(ExplorerError, match="cannot be written"):
        write_explorer(tmp_path / "taken")
    assert [one.name for one in (tmp_path / "taken").iterdir()] == ["explorer.html"]
    assert taken.is_dir()


def test_a_source_that_lost_its_style_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explorer_page, "SOURCE", tmp_path / "explorer.html")
    with pytest.raises(ExplorerError, match=r"explorer.html cannot be read .*; restore it"):
        write_explorer(tmp_path)
    (tmp_path / "explorer.html").write_text("<title>bare</title>")
    with pytest.raises(ExplorerError, match="exactly once"):
        write_explorer(tmp_path / "out")
