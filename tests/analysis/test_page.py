"""The HTML of reports: escaped, closed, and free of anything to load."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from axsim.analysis.page import Html, explained, page, table, tag
from tests.analysis.reading import parse

text = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=30)


@given(text)
def test_any_text_comes_out_as_it_went_in(content: str) -> None:
    document = parse(page(content, tag("p", content, title=content)))
    assert document.text("p") == [content]
    assert document.attributes("p", "title") == [content]
    assert document.text("title") == [content]


def test_html_is_not_escaped_twice() -> None:
    inner = tag("b", "a & b")
    assert tag("p", "x < ", inner) == "<p>x &lt; <b>a &amp; b</b></p>"
    assert tag("p", Html("<br>")) == "<p><br></p>"


def test_attributes_are_escaped() -> None:
    assert (
        tag("a", "x", href='"><script>') == '<a href="&quot;&gt;&lt;script&gt;">x</a>'
    )
    assert tag("meta", http_equiv="x") == '<meta http-equiv="x">'


def test_tables_keep_words_left_and_numbers_right() -> None:
    document = parse(table(("name", "MAE"), [("<b>", "1")], words=("name",)))
    assert document.attributes("td", "class") == ["words", "number"]
    assert document.text("td") == ["<b>", "1"]
    rows = parse(explained([("a", "b", "c")]))
    assert rows.text("th") == ["figure", "value", "meaning"]


def test_the_page_forbids_scripts_and_anything_from_elsewhere() -> None:
    policy = parse(page("title")).attributes("meta", "content")[0]
    assert "default-src 'none'" in policy and "script" not in policy
