"""Any text as LaTeX that shows it, in the encodings that every LaTeX has."""

import unicodedata
from itertools import pairwise

from analysis.outlets.layout import plain

_ASCII = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    '"': "{''}",
    # At the start of a row, \\ would take [ and * for its own.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    # Two in a row would become a quotation mark.
    "'": "{'}",
    **{char: "\\" + char for char in "{}$&#_%"},
}
# A character and its command, in text and in mathematics.
_WORDS = """
• textbullet ° textdegree § S ¶ P © textcopyright ® textregistered ™ texttrademark … dots
ß ss æ ae Æ AE œ oe Œ OE ø o Ø O å aa Å AA ł l Ł L ı i
"""
_MATHS = """
α alpha β beta γ gamma δ delta ε epsilon ζ zeta η eta θ theta ι iota κ kappa λ lambda μ mu µ mu ν nu ξ xi π pi ρ rho
σ sigma τ tau υ upsilon φ phi χ chi ψ psi ω omega Γ Gamma Δ Delta Θ Theta Λ Lambda Ξ Xi Π Pi Σ Sigma Φ Phi Ψ Psi Ω Omega
× times ± pm · cdot ÷ div √ surd ∞ infty ∝ propto ∼ sim ≤ leq ≥ geq ≠ neq ≈ approx ≡ equiv ∈ in ∑ sum ∏ prod ∂ partial
↑ uparrow ↓ downarrow → rightarrow ← leftarrow ↔ leftrightarrow ⇒ Rightarrow ↻ circlearrowright ∇ nabla ∅ emptyset
○ circ ✓ checkmark ✗ times † dagger ‡ ddagger ⌊ lfloor ⌋ rfloor ⌈ lceil ⌉ rceil
"""
_words, _maths = _WORDS.split(), _MATHS.split()
_SYMBOLS = (
    {char: f"\\{name}{{}}" for char, name in zip(_words[::2], _words[1::2], strict=True)}
    | {char: f"$\\{name}$" for char, name in zip(_maths[::2], _maths[1::2], strict=True)}
    | {"−": "$-$", "∗": "$*$", "′": "$'$", "⁄": "/", "–": "{--}", "—": "{---}", "‐": "-", "‑": "-"}
    | {"‘": "{`}", "’": "{'}", "“": "{``}", "”": "{''}", "\xa0": "~", "\u2009": r"\,", "\u202f": r"\,"}
)
_ACCENTS = dict(
    zip("\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0327", "`'^~=u.\"rHvc", strict=True)
)


def escape(text: str) -> str:
    r"""The text as LaTeX that shows it, whatever it holds; a character that no font has becomes its code point.

    Only the encodings that LaTeX always has are used, so the journal's own preamble will do.

    Example:
        >>> print(escape("50% of A_1 & B, 64×48 ↑ é 中"))
        50\% of A\_1 \& B, 64$\times$48 $\uparrow$ \'{e} {[}U+4E2D{]}
    """
    chars = unicodedata.normalize("NFC", plain(text))
    escaped = ""
    for char, following in pairwise(chars + " "):
        # A second hyphen or comma would make one dash, one quotation mark of the two.
        ligature = char == following and char in "-,"
        escaped += _escape_char(char) + ("{}" if ligature else "")
    return escaped


def _escape_char(char: str) -> str:
    if char in _SYMBOLS:
        return _SYMBOLS[char]
    if char.isascii():
        return _ASCII.get(char, char)
    decomposed = unicodedata.decomposition(char).split()
    kind = decomposed.pop(0) if decomposed and decomposed[0].startswith("<") else ""
    parts = [chr(int(code, 16)) for code in decomposed]
    if kind:
        script = {"<super>": r"\textsuperscript{%s}", "<sub>": r"\textsubscript{%s}"}.get(kind, "%s")
        return script % "".join(map(_escape_char, parts))
    if len(parts) == 2 and parts[0].isascii() and parts[1] in _ACCENTS:
        dotless = {"i": r"\i", "j": r"\j"}
        return f"\\{_ACCENTS[parts[1]]}{{{dotless.get(parts[0], parts[0])}}}"
    return f"{{[}}U+{ord(char):04X}{{]}}"
