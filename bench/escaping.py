"""Names and messages of others made harmless: one line of text, and Markdown that means only itself. No torch."""

import re
import unicodedata

_PLAIN = re.compile(r"[A-Za-z0-9_./:+=,()%-]+(?: [A-Za-z0-9_./:+=,()%-]+)*")
_ACTIVE = re.compile(r"[^\w\s,;=%+/().:-]|_|\.(?=[^\W\d])|:(?=/)", flags=re.ASCII)
"""ASCII letters that mean something in Markdown, and those that make a link of "https://a.b" or "www.a.b"."""

_CALLS = re.compile(r"&#64;|&#35;(?=\d)", flags=re.ASCII)
"""What calls somebody's name or an issue's number on GitHub, as `prose` has written it."""


def one_line(text: str) -> str:
    r"""The text without line breaks, control characters and marks that change the direction of writing.

    Example:
        >>> one_line("a\nb\x1b[31m")
        'a b [31m'
    """
    return " ".join("".join(" " if unicodedata.category(letter)[0] in "CZ" else letter for letter in text).split())


def prose(text: str) -> str:
    """The text as Markdown that renders as it reads: no markup, table cell, link or tag can be made of it.

    GitHub looks for names and numbers in what Markdown has become, so "@name" and "#1" get a space of no width, and
    neither notify nor link anybody. "GH-1" and a bare commit hash stay, which may link but notify nobody.

    Example:
        >>> prose("a|b <i>"), prose("@a #1")
        ('a&#124;b &#60;i&#62;', '&#64;&#8203;a &#35;&#8203;1')
    """
    return _CALLS.sub(r"\g<0>&#8203;", _ACTIVE.sub(_reference, one_line(text)))


def code(text: str) -> str:
    """The text as code in Markdown; code also keeps "@name" and "#1" from notifying or linking anybody.

    Example:
        >>> code("dpn4_64"), code("a`b")
        ('`dpn4_64`', '<code>a&#96;b</code>')
    """
    line = one_line(text)
    return f"`{line}`" if _PLAIN.fullmatch(line) else f"<code>{_ACTIVE.sub(_reference, line)}</code>"


def _reference(match: re.Match[str]) -> str:
    letter = match[0]
    return letter if ord(letter) > 127 else f"&#{ord(letter)};"
