"""What people see: every text that comes from elsewhere is harmless."""

from html import unescape
from typing import Any

import pytest
from delivery.plan.model import FieldChange, ResourceChange
from delivery.render.html import status_page
from delivery.render.text import drift_as_text, plan_as_text, status_as_text
from delivery.status.drift import Drift
from delivery.status.status import JobStatus, Status
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from tool.test_plan import plan
from tool.test_screens import NOW, _Page, shown, status

BAD = '<b id="x">\'&'
SAFE = "&lt;b id=&#34;x&#34;&gt;&#39;&amp;"
TEXTS = (
    "target",
    "release",
    "commit",
    "actor",
    "approved_by",
    "rollback_target",
    "jobs_on_other_releases",
    "lock",
    "in_progress",
    "out_of_band_change",
    "host",
)
LISTS = ("drifted", "retained", "orphans")


@pytest.mark.parametrize("field", TEXTS)
def test_no_text_of_a_status_becomes_a_tag(field: str) -> None:
    text = status_page("Demo", [status(**{field: BAD})], NOW)
    assert BAD not in text
    assert SAFE in text
    assert "b" not in [tag for tag, _ in _Page(text).tags]


@pytest.mark.parametrize("field", LISTS)
def test_no_entry_of_a_list_becomes_a_tag(field: str) -> None:
    text = status_page("Demo", [status(**{field: [BAD]})], NOW)
    assert f"<li>{SAFE}</li>" in text
    assert BAD not in text


def test_neither_project_nor_block_nor_job_becomes_a_tag() -> None:
    job = status().jobs[0].model_copy(update={"key": BAD})
    text = status_page(BAD, [status(jobs=[job], blocked={BAD: BAD})], NOW)
    assert BAD not in text
    assert f"<title>{SAFE}: running releases</title>" in text
    assert f"<li>{SAFE}: {SAFE}</li>" in text
    assert f">{SAFE}</a></th>" in text


_HOSTILE = st.sampled_from(
    [BAD, "<script>alert(1)</script>", "[red]x[/]", "[link=file:///x]y[/]", "' onload='x", "]]>",
     'https://example.com/"><img src=x onerror=alert(1)>', "javascript:alert(1)", "&lt;b&gt;"]
)  # fmt: skip


def _hostile_values(model: type[BaseModel]) -> dict[str, st.SearchStrategy[Any]]:
    """A hostile value for every field of a model that takes a text of any kind."""
    kinds = {
        str: _HOSTILE,
        list[str]: st.lists(_HOSTILE, min_size=1, max_size=2),
        dict[str, str]: st.dictionaries(_HOSTILE, _HOSTILE, min_size=1, max_size=2),
    }
    found = {name: field.annotation for name, field in model.model_fields.items()}
    return {name: kinds[kind] for name, kind in found.items() if kind in kinds}  # type: ignore[index]


@given(
    st.fixed_dictionaries(_hostile_values(Status)),
    st.fixed_dictionaries(_hostile_values(JobStatus)),
)
def test_no_text_from_elsewhere_becomes_markup(fields: dict[str, Any], job: dict[str, Any]) -> None:
    plain = status()
    hostile = status(**fields, jobs=[{**plain.jobs[0].model_dump(), **job}])
    tags = _Page(status_page("Demo", [hostile], NOW)).tags
    known = {tag for tag, _ in _Page(status_page("Demo", [plain], NOW)).tags}
    assert {tag for tag, _ in tags} <= known
    names = {name for _, attributes in tags for name in attributes}
    assert names <= {"lang", "charset", "name", "content", "class", "aria-label", "aria-hidden",
                     "href", "datetime", "scope"}  # fmt: skip
    links = [attributes["href"] or "" for tag, attributes in tags if tag == "a"]
    assert all(unescape(link).startswith(("https://", "http://")) for link in links)
    text = shown(status_as_text(hostile))
    assert all(
        fields[name] in text for name in ("target", "release", "jobs_on_other_releases", "lock")
    )


@pytest.mark.parametrize("field", ["health", "sync"])
def test_a_state_is_one_of_those_there_are(field: str) -> None:
    with pytest.raises(ValidationError):
        status(**{field: BAD})
    with pytest.raises(ValidationError):
        JobStatus.model_validate({"key": "a", "release": "r", "url": "", "last_run": BAD})
    unchecked = status().model_copy(update={field: BAD})
    assert BAD not in status_page("Demo", [unchecked], NOW)


@pytest.mark.parametrize("field", ["url", "run_url", "host"])
def test_an_address_cannot_leave_its_attribute(field: str) -> None:
    text = status_page("Demo", [status(**{field: 'https://example.com/" onclick="alert(1)'})], NOW)
    links = [attributes for tag, attributes in _Page(text).tags if tag == "a"]
    assert links
    assert all({*attributes} == {"href"} for attributes in links)


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "data:text/html,x", "//example.com", "JAVASCRIPT:x", ""]
)
def test_only_addresses_of_the_web_are_links(address: str) -> None:
    job = status().jobs[0].model_copy(update={"url": address, "run_url": address})
    text = status_page(
        "Demo", [status(url=address, run_url=address, host=address, jobs=[job])], NOW
    )
    assert [attributes for tag, attributes in _Page(text).tags if tag == "a"] == []


def test_every_fact_has_its_name() -> None:
    text = status_page("Demo", [status(rollback_target="before", lock="ana")], NOW)
    assert "<dt>rollback target</dt><dd>before</dd>" in text
    assert "<dt>lock</dt><dd>ana</dd>" in text
    assert "<dt>approved by</dt>" not in text


def test_a_target_without_anything_has_no_empty_rows() -> None:
    bare = type(status())(target="prod", host="", at=NOW)
    text = status_page("Demo", [bare], NOW)
    assert "<dt>release</dt><dd><code>none</code></dd>" in text
    assert text.count("<dt>") == 2
    assert '<dt>read at</dt><dd><time datetime="2026-11-23T12:00:00+00:00">' in text
    assert "<li>" not in text
    assert "Jobs and their last runs" not in text
    assert '<span aria-hidden="true">○</span> unknown' in text


def test_markup_in_what_hands_changed_is_shown_as_it_is() -> None:
    found = Drift(
        key="jobs.a", path="[red]x[/]", expected="[b]", actual="[/b]", patch="x: [/red]\n"
    )
    text = shown(drift_as_text("prod", [found]))
    assert "jobs.a: [red]x[/]" in text
    assert "expected '[b]', found '[/b]'" in text
    assert "      x: [/red]" in text


def test_a_plan_without_code_or_changes_says_so() -> None:
    text = shown(plan_as_text(plan(changes=[], running="")))
    assert "(now" not in text
    assert "code:" not in text
    assert "0 to create, 0 to change, 0 to delete, 0 retained" in text


def test_six_fields_are_shown_and_of_more_their_number() -> None:
    def lines(count: int) -> str:
        fields = [FieldChange(path=f"f{n}", old=n, new=n + 1, remote=n) for n in range(count)]
        return shown(
            plan_as_text(plan(changes=[ResourceChange(key="x.y", action="update", fields=fields)]))
        )

    assert "more" not in lines(6)
    assert "f5: 5 → 6\n    and 1 more" in lines(7)
