r"""Where the formulas of a text are: $…$, $$…$$, \(…\), \[…\] and displayed environments.

Prices are not formulas: as in pandoc, an inline `$` opens before a non-space, closes after a non-space and not before a
digit; `$ x^2 $` with inner spaces needs a sign that prices lack. A formula never crosses a blank line, and its length is
limited; it never holds its own opening delimiter, so that any number of stray ones costs linear time.
"""

import re

# the first character stands before the alternatives, so that `re` skips to it: twelve times faster than without
FORMULA = re.compile(
    r"""
    [$\\] (?:
        (?<=\$) (?<!\\\$) \$ (?: [^$\\\n] | \\. | \n(?!\s*\n) | \$(?!\$) ){1,5000}+ \$\$
      | (?<=\$) (?<![\\$]\$) (?![\s$]) (?: [^$\\\n] | \\. | \n(?!\s*\n) ){1,500}+ (?<!\s)\$ (?![\d$])
      | (?<=\$) (?<![\\$]\$) (?=[^$\n]{1,500}?[\\^_{}]) [^$\n]{1,500}+ \$ (?![\d$])
      | (?<=\\) (?<!\\\\) \( (?: [^\\\n] | \\[^()] | \n(?!\s*\n) ){1,2000}+ \\\)
      | (?<=\\) (?<!\\\\) \[ (?: [^\\\n] | \\[^\[\]] | \n(?!\s*\n) ){1,5000}+ \\\]
      | (?<=\\) begin\{(?P<name>(?:equation|align|alignat|flalign|gather|multline|eqnarray|displaymath)\*?)\}
        (?: [^\\] | \\(?!(?:begin|end)\{(?P=name)\}) ){1,5000}+ \\end\{(?P=name)\}
    )
    """,
    re.VERBOSE | re.DOTALL,
)


def replace_formulas(text: str, by: str = " ") -> str:
    """The text with each formula replaced by the same string."""
    return FORMULA.sub(lambda _: by, text) if "$" in text or "\\" in text else text


def formula_characters(text: str) -> int:
    """Characters inside formulas, delimiters included, white space not."""
    return sum(len("".join(match.group().split())) for match in FORMULA.finditer(text)) if "$" in text or "\\" in text else 0


def one_line_formulas(text: str) -> str:
    """The text with the line breaks inside formulas made spaces: a displayed formula is one line."""
    return FORMULA.sub(lambda match: " ".join(match.group().split()), text) if "$" in text or "\\" in text else text
