import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermaxai.evaluate.latex import escape, table_tex
from dermaxai.evaluate.summary import summarise
from tests.evaluate.made import make_evaluation

SPECIAL = re.compile(r"(?<!\\)[&%$#_~^]")


def environments(text):
    return re.findall(r"\\(begin|end)\{(\w+)\}", text)


def check(text):
    """What a compiler would stumble over first: braces, environments, columns, bare special signs."""
    body = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    plain = re.sub(r"\\[{}]", "", body)
    depth = 0
    for sign in plain:
        depth += (sign == "{") - (sign == "}")
        assert depth >= 0
    assert depth == 0
    opened = []
    for what, name in environments(body):
        if what == "begin":
            opened.append(name)
        else:
            assert opened.pop() == name
    assert opened == []
    for table in re.findall(r"\\begin\{tabular\}\{@\{\}([lr]+)@\{\}\}(.*?)\\end\{tabular\}", body, re.S):
        columns, inside = table
        rows = [row for row in inside.split("\\\\\n") if "&" in row]
        assert rows
        for row in rows:
            assert len(re.findall(r"(?<!\\)&", row)) == len(columns) - 1
        words = re.sub(r"\$[^$]*\$", "", inside)
        assert not re.search(r"(?<!\\)[%$#_~^]", words)
    return body


@pytest.fixture(scope="module")
def text():
    return table_tex(summarise([make_evaluation(40)], ["sex"]))


def test_it_is_whole(text):
    body = check(text)
    assert body.count(r"\begin{table}") == 2
    assert r"\toprule" in body
    assert r"\bottomrule" in body


def test_a_bare_preamble_is_enough(text):
    for name in ("toprule", "midrule", "bottomrule", "textcolor"):
        assert text.index(rf"\providecommand{{\{name}}}") < text.index(r"\begin{table}")
    used = set(re.findall(r"\\([a-zA-Z]+)", re.sub(r"(?m)^%.*", "", text)))
    plain = {
        "begin", "end", "caption", "centering", "footnotesize", "scriptsize", "textbf", "textit", "hline",
        "providecommand", "uparrow", "downarrow",
    }  # fmt: skip
    assert used - plain == {"toprule", "midrule", "bottomrule", "textcolor"}


def test_best_bold_few_grey_baselines_in_italics(text):
    over_all, by_sex = text.split(r"\end{table}")[:2]
    bold = [line for line in over_all.splitlines() if r"\textbf" in line]
    assert len(bold) == 1
    assert bold[0].startswith(r"grad\_eclip &")
    assert r"\textcolor{gray}" not in over_all
    assert r"\textcolor{gray}{" in by_sex
    assert r"\textit{random map}" in over_all
    assert r"Deletion $\downarrow$ & Insertion $\uparrow$ & Sparseness &" in over_all


def test_any_name_compiles():
    hostile = r"50% & $x_1$ #2 {a} \end{table} ~^<>| “–”"
    evaluation = make_evaluation(8, contestants=(hostile, "b\nc"), conditions=("слово & %",))
    text = table_tex(summarise([evaluation], ["diagnosis"]))
    check(text)
    assert "XeLaTeX" in text
    assert "XeLaTeX" not in table_tex(summarise([make_evaluation(8)]))


@given(st.text(alphabet=st.sampled_from("ab1 \\{}&%$#_~^<>|−–—×≥≤±↑↓→·…†")))
def test_escaped_text_has_no_bare_special_sign(text):
    found = escape(text)
    without_math = re.sub(r"\$\\?[a-z-]+\$", "", found)
    assert not SPECIAL.search(without_math)
    assert found.count("{") == found.count("}") or "{" in text or "}" in text
    assert all(ord(sign) < 128 for sign in found)
