"""The explorer of receptive fields: one HTML page that computes and draws everything itself, put beside the report.

`explorer.html` is the source and can be opened where it is. The report's stylesheet stands beside it once, for all
pages, and moves into the written page, which loads nothing.
"""

from pathlib import Path

from dpn.program.whole_files import write_whole

SOURCE = Path(__file__).with_name("explorer.html")
STYLE = Path(__file__).with_name("page.css")
STYLE_LINK = '<link rel="stylesheet" href="page.css">'


class ExplorerError(RuntimeError):
    """The page could not be made; the message names the file and what to do."""


def explorer_html() -> str:
    """The page as one self-contained text.

    Raises:
        ExplorerError: the source or the stylesheet is missing, or no longer says where the style belongs.
    """
    try:
        page, style = SOURCE.read_text(encoding="utf-8"), STYLE.read_text(encoding="utf-8")
    except OSError as error:
        raise ExplorerError(
            f"{error.filename} cannot be read ({error.strerror}); restore it from the checkout"
        ) from error
    if page.count(STYLE_LINK) != 1:
        raise ExplorerError(f"{SOURCE} must hold {STYLE_LINK} exactly once; put it back into its head")
    return page.replace(STYLE_LINK, f"<style>\n{style}</style>")


def write_explorer(out: Path) -> Path:
    """Writes the page as explorer.html, whole or not at all.

    Args:
        out: the report's folder; made when it does not exist.

    Returns:
        The page's path.

    Raises:
        ExplorerError: the page cannot be made or written.
    """
    text, path = explorer_html(), out / "explorer.html"
    try:
        write_whole(path, text.encode())
    except OSError as error:
        raise ExplorerError(f"{path} cannot be written ({error.strerror}); name a folder that can") from error
    return path
