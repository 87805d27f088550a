"""What people see: every text that comes from elsewhere is harmless."""

import pytest

from delivery.drift import Drift
from delivery.page import page
from delivery.plan import Change, Field
from delivery.show import drift_as_text, plan_as_text
from test_plan import plan
from test_screens import NOW, _Page, shown, status

BAD = '<b id="x">\'&'
SAFE = "&lt;b id=&quot;x&quot;&gt;&#x27;&amp;"
TEXTS = (
    "target", "release", "commit", "actor", "approved_by", "previous", "mixed", "lock",
    "unfinished", "unexplained", "host",
)  # fmt: skip
LISTS = ("drifted", "retained", "orphans")


@pytest.mark.parametrize("field", TEXTS)
def test_no_text_of_a_status_becomes_a_tag(field: str) -> None:
    text = page("Demo", [status(**{field: BAD})], NOW)
    assert BAD not in text
    assert SAFE in text
    assert "b" not in [tag for tag, _ in _Page(text).tags]


@pytest.mark.parametrize("field", LISTS)
def test_no_entry_of_a_list_becomes_a_tag(field: str) -> None:
    text = page("Demo", [status(**{field: [BAD]})], NOW)
    assert f"<li>{SAFE}</li>" in text
    assert BAD not in text


def test_neither_project_nor_block_nor_job_becomes_a_tag() -> None:
    job = status().jobs[0].model_copy(update={"key": BAD})
    text = page(BAD, [status(jobs=[job], blocked={BAD: BAD})], NOW)
    assert BAD not in text
    assert f"<title>{SAFE}: what runs where</title>" in text
    assert f"<li>{SAFE}: {SAFE}</li>" in text
    assert f">{SAFE}</a></th>" in text


@pytest.mark.parametrize("field", ["url", "run_url", "host"])
def test_an_address_cannot_leave_its_attribute(field: str) -> None:
    text = page("Demo", [status(**{field: 'https://example.com/" onclick="alert(1)'})], NOW)
    links = [attributes for tag, attributes in _Page(text).tags if tag == "a"]
    assert links
    assert all({*attributes} == {"href"} for attributes in links)


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "data:text/html,x", "//example.com", "JAVASCRIPT:x", ""]
)
def test_only_addresses_of_the_web_are_links(address: str) -> None:
    job = status().jobs[0].model_copy(update={"url": address, "run_url": address})
    text = page("Demo", [status(url=address, run_url=address, host=address, jobs=[job])], NOW)
    assert [attributes for tag, attributes in _Page(text).tags if tag == "a"] == []


def test_every_fact_has_its_name() -> None:
    text = page("Demo", [status(previous="before", lock="ana")], NOW)
    assert "<dt>goes back to</dt><dd>before</dd>" in text
    assert "<dt>lock</dt><dd>ana</dd>" in text
    assert "<dt>approved by</dt>" not in text


def test_a_target_without_anything_has_no_empty_rows() -> None:
    bare = type(status())(target="prod", host="", at=NOW)
    text = page("Demo", [bare], NOW)
    assert "<dt>release</dt><dd><code>none</code></dd>" in text
    assert text.count("<dt>") == 1
    assert "<li>" not in text
    assert "Jobs and their last runs" not in text
    assert '<span aria-hidden="true">○</span> unknown' in text


def test_markup_in_what_hands_changed_is_shown_as_it_is() -> None:
    found = Drift(
        key="jobs.a", what="[red]x[/]", delivered="[b]", found="[/b]", adopt="x: [/red]\n"
    )
    text = shown(drift_as_text("prod", [found]))
    assert "jobs.a: [red]x[/]" in text
    assert "delivered '[b]', found '[/b]'" in text
    assert "      x: [/red]" in text


def test_a_plan_without_code_or_changes_says_so() -> None:
    text = shown(plan_as_text(plan(changes=[], running="")))
    assert "(now" not in text
    assert "code:" not in text
    assert "0 to create, 0 to change, 0 to delete, 0 kept" in text


def test_six_fields_are_shown_and_of_more_their_number() -> None:
    def lines(count: int) -> str:
        fields = [Field(path=f"f{n}", old=n, new=n + 1, remote=n) for n in range(count)]
        return shown(
            plan_as_text(plan(changes=[Change(key="x.y", action="update", fields=fields)]))
        )

    assert "more" not in lines(6)
    assert "f5: 5 → 6\n    and 1 more" in lines(7)
