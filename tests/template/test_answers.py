"""Answers: good ones come through unchanged, bad ones are refused before anything is written."""

from __future__ import annotations

import re
import string
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Bake
from cookiecutter.exceptions import FailedHookException
from cookiecutter.main import cookiecutter as generate
from harness.baking import CHOICES, DECLARED, MAXIMAL, ROOT, Baked, cookiecutter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jinja2 import Environment

import answers

GOOD = {
    "project_name": "Acme Lakehouse",
    "project_slug": "acme-lakehouse",
    "owner_email": "data-team@example.com",
    "cloud": "aws",
    "dev_host": "https://dbc-a1b2c3d4-e5f6.cloud.databricks.com",
    "staging_host": "https://dbc-a1b2c3d4-e5f6.cloud.databricks.com",
    "prod_host": "https://dbc-a1b2c3d4-e5f6.cloud.databricks.com",
}
AWS = GOOD["dev_host"]
HOSTILE = [
    '"', "'", "\\", "\n", "\r\n", "\t", "\0", "\x1b[31m", "\u202e", "\u200f", "\u2028", "\ufeff",
    "`id`", "$(id)", "${HOME}", "; rm -rf .", "&&", "|", ">x", "<x>", "*", "~", "!", "#", "%", "@",
    "{{ 7 * 7 }}", "{{ 1 / 0 }}", "{% raise %}", "{# x #}", "{{", "}}", "{%", "{{ cookiecutter }}",
    ": ", "- x", "key: value", "[x]", "{x}", "&a", "*a", "!!python/object:x", "---", "...", "|\n",
    '"""', "'''", "= x", "\\u0041", "%s", "%(x)s", "\\", "null", "true", "on", "=cmd()",
    "Zoë", "日本語", "ملف", "שלום", "🚀", "é", "ﬁ", "x" * 300,
]  # fmt: skip
DEVICES = ["con", "prn", "aux", "nul", "com1", "lpt9"]
BAD_HOSTS = [
    "http://dbc-1.cloud.databricks.com",
    "dbc-1.cloud.databricks.com",
    "ftp://dbc-1.cloud.databricks.com",
    "https://user:password@dbc-1.cloud.databricks.com",
    "https://dbc-1.cloud.databricks.com:443",
    "https://dbc-1.cloud.databricks.com/",
    "https://dbc-1.cloud.databricks.com/path",
    "https://dbc-1.cloud.databricks.com?o=1",
    "https://dbc-1.cloud.databricks.com#x",
    "https://dbc-1.cloud.databricks.com ",
    " https://dbc-1.cloud.databricks.com",
    "https://dbc-1.cloud.databricks.com\n",
    "https://dbc-1.cloud.databricks.com.example.com",
    "https://evilcloud.databricks.com",
    "https://.cloud.databricks.com",
    "https://-a.cloud.databricks.com",
    "https://a..cloud.databricks.com",
    "https://DBC.cloud.databricks.com",
    "https://adb-1.1.azuredatabricks.net",
    "https://",
    "",
]

hostile_text = st.lists(
    st.one_of(st.sampled_from(HOSTILE), st.text(max_size=8), st.text(string.printable, max_size=8)),
    min_size=1,
    max_size=4,
).map("".join)


def wrong(**changes: str) -> list[str]:
    return [problem.answer for problem in answers.problems({**GOOD, **changes})]


def test_the_declared_defaults_are_good(bake: Bake) -> None:
    assert bake().path.is_dir()


@pytest.mark.parametrize(
    "name",
    [
        "A",
        'Acme\'s "x"'.replace('"', ""),
        "Größte & Söhne",
        "日本",
        "50 % #1: a {b}",
        "🚀 go",
        "x" * 80,
    ],
)
def test_a_project_name_may_be_any_printed_line(name: str) -> None:
    assert wrong(project_name=name) == []


@pytest.mark.parametrize(
    "name",
    ["", " ", " a", "a ", "a\nb", "a\tb", 'a"b', "a\\b", "a`b`", "<b>", "a{{b", "a{%b", "a{#b",
     "a\u2028b", "a\u202eb", "a\0b", "\ufeffa", "x" * 81],
)  # fmt: skip
def test_any_other_project_name_is_refused(name: str) -> None:
    assert wrong(project_name=name) == ["project_name"]


@pytest.mark.parametrize("slug", ["a", "acme", "a1", "acme-data-2", "x" * 40, "console"])
def test_a_slug_is_small_letters_digits_and_hyphens(slug: str) -> None:
    assert wrong(project_slug=slug) == []


@pytest.mark.parametrize(
    "slug",
    [
        "",
        "A",
        "1a",
        "-a",
        "a-",
        "a--b",
        "a_b",
        "a.b",
        "a b",
        "a/b",
        "..",
        "é",
        "x" * 41,
        "a\n",
        *DEVICES,
    ],
)
def test_any_other_slug_is_refused(slug: str) -> None:
    assert wrong(project_slug=slug) == ["project_slug"]


@pytest.mark.parametrize("email", ["a@example.com", "a.b+c_d-e@x-1.example.com"])
def test_an_email_is_an_address(email: str) -> None:
    assert wrong(owner_email=email) == []


@pytest.mark.parametrize(
    "email",
    ["", "a", "a@", "@example.com", "a@b", "a b@example.com", "a@example.com\n", "<a@example.com>",
     "a@example.com,b@example.com", "a@exa mple.com", "a@example..com", "é@example.com",
     "x" * 90 + "@example.com"],
)  # fmt: skip
def test_anything_else_is_no_email(email: str) -> None:
    assert wrong(owner_email=email) == ["owner_email"]


@pytest.mark.parametrize("question", ["dev_host", "staging_host", "prod_host"])
@pytest.mark.parametrize("host", BAD_HOSTS)
def test_a_workspace_address_is_a_host_of_the_cloud_and_nothing_more(
    question: str, host: str
) -> None:
    assert wrong(**{question: host}) == [question]


@pytest.mark.parametrize(
    ("cloud", "host"),
    [
        ("aws", "https://dbc-1.cloud.databricks.com"),
        ("aws", "https://acme.cloud.databricks.us"),
        ("azure", "https://adb-1.1.azuredatabricks.net"),
        ("azure", "https://adb-1.1.databricks.azure.cn"),
        ("gcp", "https://1.1.gcp.databricks.com"),
    ],
)
def test_each_cloud_has_addresses_of_its_own(cloud: str, host: str) -> None:
    hosts = dict.fromkeys(("dev_host", "staging_host", "prod_host"), host)
    assert wrong(cloud=cloud, **hosts) == []
    other = "gcp" if cloud == "aws" else "aws"
    assert wrong(cloud=other, **hosts) == list(hosts)


def test_all_problems_are_told_at_once_with_what_was_given_and_an_example() -> None:
    bad = {**GOOD, "project_name": "", "owner_email": "x", "prod_host": "http://x"}
    with pytest.raises(FailedHookException) as refused:
        answers.checked(bad)
    message = str(refused.value)
    assert message.startswith("3 answers cannot be used; nothing was written.")
    for problem in answers.problems(bad):
        assert f"{problem.answer}: given {problem.given!r}" in message
        assert problem.expected in message
        assert problem.example in message


def test_every_example_is_a_good_answer() -> None:
    for cloud in CHOICES["cloud"]:
        hostile = dict.fromkeys(GOOD, "\n") | {"cloud": cloud}
        examples = {problem.answer: problem.example for problem in answers.problems(hostile)}
        assert set(examples) == set(GOOD) - {"cloud"}
        assert list(answers.problems({**examples, "cloud": cloud})) == []


def test_every_free_question_has_a_judge() -> None:
    free = {
        name for name, default in DECLARED.items() if isinstance(default, str) and name[0] != "_"
    }
    assert set(answers._VALIDATORS) == free


@settings(max_examples=3000, deadline=None, derandomize=True)
@given(question=st.sampled_from(sorted(answers._VALIDATORS)), given_text=hostile_text)
def test_a_judged_answer_is_safe_wherever_it_stands(question: str, given_text: str) -> None:
    if wrong(**{question: given_text}):
        return
    assert yaml.safe_load(f'x: "{given_text}"') == {"x": given_text}
    assert given_text == given_text.strip()
    assert len(given_text.splitlines()) == 1
    assert not re.search(r'[\x00-\x1f\x7f"\\`<>]|\{[{%#]', given_text)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(before=hostile_text, opener=st.sampled_from(["{{", "{%", "{#"]), after=hostile_text)
def test_an_answer_is_never_run_as_a_template(before: str, opener: str, after: str) -> None:
    environment = Environment(extensions=[answers.Answers], keep_trailing_newline=True)
    text = before + opener + after
    assert environment.from_string(text).render() == text


def refused_or_baked(folder: Path, template: Path, given_answers: dict[str, str]) -> Baked | str:
    """The project, or the message of the refusal."""
    try:
        path = generate(
            str(template), no_input=True, extra_context=given_answers, output_dir=str(folder),
            default_config={"replay_dir": str(folder / "replay"), "cookiecutters_dir": str(folder)},
        )  # fmt: skip
    except FailedHookException as refusal:
        return str(refusal)
    return Baked(Path(path), given_answers)


hostile_answers = st.fixed_dictionaries(
    {},
    optional={
        "project_name": st.one_of(
            hostile_text, st.sampled_from(["Q & A", "It's #1: ok", "日本 🚀"])
        ),
        "project_slug": st.one_of(
            st.sampled_from([*DEVICES, "a", "../x", "a b"]),
            st.from_regex(r"[a-z][a-z0-9]{0,5}", fullmatch=True),
        ),
        "owner_email": st.one_of(
            hostile_text, st.sampled_from(["a@example.com", "b+c@example.com"])
        ),
        "prod_host": st.one_of(st.sampled_from([*BAD_HOSTS, AWS]), hostile_text),
    },
).filter(lambda given_answers: len(given_answers) > 0)


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(given_answers=hostile_answers)
def test_hostile_answers_give_a_whole_project_or_one_refusal(
    given_answers: dict[str, str], template: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("hostile")
    result = refused_or_baked(folder, template, given_answers)
    if isinstance(result, str):
        assert "cannot be used; nothing was written" in result
        assert [entry.name for entry in folder.iterdir()] == []
    else:
        assert_answers_round_trip(result, {**_defaults(given_answers), **given_answers})


def _defaults(given_answers: dict[str, str]) -> dict[str, str]:
    host = "https://dbc-00000000-0000.cloud.databricks.com"
    return {
        "project_name": "Acme Lakehouse",
        "owner_email": "data-team@example.com",
        "dev_host": host,
        "staging_host": host,
        "prod_host": host,
    }


def assert_answers_round_trip(project: Baked, expected: dict[str, str]) -> None:
    """Every answer stands in the project, exactly as it was given."""
    assert project.yaml("delivery.yml")["project"]["name"] == expected["project_name"]
    bundle = project.yaml("databricks.yml")
    assert bundle["bundle"]["name"] == project.path.name
    if "project_slug" in expected:
        assert project.path.name == expected["project_slug"]
    assert bundle["variables"]["owner"]["default"] == expected["owner_email"]
    for target in ("dev", "staging", "prod"):
        assert project.target(target)["workspace"]["host"] == expected[f"{target}_host"]
    assert project.text("README.md").splitlines()[0] == f"# {expected['project_name']}"


def test_the_maximal_answers_round_trip(bake: Bake) -> None:
    assert_answers_round_trip(bake(**MAXIMAL), MAXIMAL)


def test_a_refusal_on_the_command_line_is_one_message_and_no_folder(
    tmp_path: Path, template: Path
) -> None:
    result = cookiecutter(template, tmp_path, "project_name={{ 1 / 0 }}", "dev_host=http://x")
    assert result.returncode == 1
    assert "Traceback" not in result.stdout + result.stderr
    assert "project_name: given '{{ 1 / 0 }}'" in result.stdout
    assert "dev_host: given 'http://x'" in result.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("question", sorted(CHOICES))
def test_a_choice_that_is_none_is_refused_with_the_choices(
    question: str, tmp_path: Path, template: Path
) -> None:
    result = cookiecutter(template, tmp_path, f"{question}=nope")
    assert result.returncode == 1
    assert f"nope provided for choice variable {question}" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_questions_are_few_and_have_labels() -> None:
    prompts: dict[str, Any] = DECLARED["__prompts__"]
    questions = [name for name in DECLARED if not name.startswith("_")]
    assert len(questions) <= 12
    assert set(prompts) == set(questions)
    for name, choices in CHOICES.items():
        assert set(prompts[name]) == {"__prompt__", *choices}
    assert list(DECLARED)[[*DECLARED].index("prod_host") + 1 :][-5:] == [
        "__checked", "__prompts__", "_extensions", "_jinja2_env_vars", "_copy_without_render",
    ]  # fmt: skip


def test_only_this_repository_s_own_text_is_a_template() -> None:
    own = answers._own_templates()
    assert "{{cookiecutter.project_slug}}" in own
    assert (ROOT / "hooks/post_gen_project.py").read_text(encoding="utf-8") in own
    assert DECLARED["__checked"] in own
