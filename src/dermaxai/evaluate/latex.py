"""Tables for a paper: booktabs, and LaTeX that compiles under a bare preamble too."""

from __future__ import annotations

import math

from dermaxai.evaluate.groups import TITLES
from dermaxai.evaluate.layout import Grid, Line, lay_out
from dermaxai.evaluate.rounding import show
from dermaxai.evaluate.summary import FEW, Cell, Summary

HEAD = r"""
% Best with \usepackage{booktabs} and \usepackage{xcolor} in the preamble; without them the rules are
% plain and nothing is grey.
\providecommand{\toprule}{\hline}
\providecommand{\midrule}{\hline}
\providecommand{\bottomrule}{\hline}
\providecommand{\textcolor}[2]{#2}
"""
UNICODE = "% Some names are beyond Latin: compile with XeLaTeX or LuaLaTeX and a font that has them.\n"
ACROSS = 4
"""Metrics beside each other, with their intervals, on a page of one column."""
ARROWS = {"higher": r" $\uparrow$", "lower": r" $\downarrow$", "neither": ""}
SIGNS = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "−": "$-$",
    "–": "--",
    "—": "---",
    "×": r"$\times$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "±": r"$\pm$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "→": r"$\rightarrow$",
    "·": r"$\cdot$",
    "…": r"\dots{}",
    "†": r"\dag{}",
}


def escape(text: str) -> str:
    r"""A text that LaTeX prints as it is.

    >>> escape("50 % of R&D_2 −1")
    '50 \\% of R\\&D\\_2 $-$1'
    """
    return "".join(SIGNS.get(sign, sign) for sign in " ".join(text.split()))


def table_tex(summary: Summary) -> str:
    """All tables; best bold, few rows grey, baselines in italics."""
    body = "\n".join(_table(grid) for grid in lay_out(summary, ACROSS))
    beyond = any(ord(sign) > 0x17F for sign in body)
    return f"{HEAD.lstrip()}{UNICODE if beyond else ''}\n{body}"


def _table(grid: Grid) -> str:
    names = ["", *([escape(TITLES[grid.by])] if grid.by else []), "$n$"]
    heads = [f"{escape(scale.title)}{ARROWS[scale.better]}" for scale in grid.scales]
    columns = "l" * (len(names) - 1) + "r" + "l" * len(heads)
    rows, before = [], None
    for line in grid.lines:
        if before is not None and before.is_baseline != line.is_baseline:
            rows.append(r"\midrule")
        again = bool(grid.by) and before is not None and before.contestant == line.contestant
        rows.append(f"{' & '.join(_cells(grid, line, again))} \\\\")
        before = line
    caption = (
        f"{escape(grid.title)}. 95\\,\\% bootstrap intervals. Bold: best, and better than the second and the "
        f"best baseline, $p < 0.05$ after Holm. Italic: baseline. Grey: $n < {FEW}$."
    )
    return "\n".join(
        [
            r"\begin{table}[htbp]",
            rf"\caption{{{caption}}}",
            r"\centering\footnotesize",
            rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}",
            r"\toprule",
            f"{' & '.join([*names, *heads])} \\\\",
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _cells(grid: Grid, line: Line, again: bool) -> list[str]:
    name = "" if again else escape(line.contestant)
    first = [rf"\textit{{{name}}}" if line.is_baseline and name else name]
    first += [escape(line.group)] if grid.by else []
    found = zip(line.cells, line.best, grid.digits, strict=True)
    told = [_told(cell, line.n, best, digits) for cell, best, digits in found]
    return [*first, str(line.n), *told]


def _told(cell: Cell | None, n: int, best: bool, digits: int) -> str:
    if cell is None or math.isnan(cell.estimate.value):
        return "--"
    told = cell.estimate
    value, low, high = (escape(show(number, digits)) for number in (told.value, told.low, told.high))
    bold = rf"\textbf{{{value}}}" if best else value
    bounds = "" if math.isnan(told.low) else f"{low}--{high}"
    own = f"$n={told.n}$" if told.n != n else ""
    more = ", ".join(filter(None, (bounds, own)))
    text = rf"{bold} {{\scriptsize ({more})}}" if more else bold
    return rf"\textcolor{{gray}}{{{text}}}" if cell.few else text
