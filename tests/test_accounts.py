"""The secret names the accounts; one that cannot be used is told of and does not hold up others."""

import json
from typing import Any, Literal

import boto3
import pytest

from batchwatch.accounts import Accounts, read_accounts, read_slack_url
from batchwatch.errors import SecretError
from batchwatch.openai import BASE_URL, Account
from tests.world import aws_in_memory

KEY = "gw-test-0123456789"
GOOD = "sk-another"


def secret(**accounts: object) -> str:
    """Give a secret with those accounts and a good one, last."""
    return json.dumps({"accounts": accounts | {"good": {"api_key": GOOD}}})


def test_an_account_needs_a_name_and_a_key() -> None:
    readable = read_accounts(json.dumps({"accounts": {"default": {"api_key": KEY}}}))
    assert readable.accounts == [Account("default", KEY, BASE_URL, None, None)]
    assert readable.troubles == []


def test_an_account_may_say_where_its_key_is_good_for() -> None:
    more: dict[str, Any] = {
        "base_url": "https://gate.way/v1",
        "organization": "org-1",
        "project": "proj_1",
    }
    readable = read_accounts(secret(eu={"api_key": f" {KEY}\n", **more, "webhook_secrets": ["w"]}))
    assert readable.accounts == [Account("eu", KEY, **more), Account("good", GOOD)]
    assert readable.troubles == []


@pytest.mark.parametrize(
    "nothing",
    [
        {},
        {"base_url": "", "organization": "", "project": None},
        {"api_version": "", "auth": ""},
        {"api_version": None, "auth": None},
        {"webhook_secrets": ["w"]},
    ],
)
def test_what_is_left_empty_is_as_usual(nothing: dict[str, Any]) -> None:
    account, _ = read_accounts(secret(eu={"api_key": KEY} | nothing)).accounts
    assert account.base_url == BASE_URL
    assert (account.organization, account.project) == (None, None)
    assert (account.api_version, account.auth) == (None, None)


@pytest.mark.parametrize("version", ["2024-10-21", "2025-04-01-preview", "preview", "v1", "a" * 32])
@pytest.mark.parametrize("auth", ["bearer", "api-key"])
def test_an_account_of_azure_may_say_its_version_and_how_its_key_is_told(
    version: str, auth: Literal["bearer", "api-key"]
) -> None:
    account, _ = read_accounts(
        secret(eu={"api_key": KEY, "api_version": version, "auth": auth})
    ).accounts
    assert account == Account("eu", KEY, api_version=version, auth=auth)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("api_version", odd) for odd in ("2024/10", "v1&x=y", "a" * 33, "é", "a b", "v1\n")],
        *[("api_version", odd) for odd in (7, True, ["v1"], {"v": 1})],
        *[("auth", odd) for odd in ("Bearer", "api_key", "basic", 7, True, ["bearer"], {"a": 1})],
        *[
            ("base_url", odd)
            for odd in (
                "http://hidden-0123456789.example",
                7,
                "https://[::1",
                "https:///v1",
                "https://a..b",
            )
        ],
        *[(name, odd) for name in ("organization", "project") for odd in ("ü-0123456789", ["x"])],
    ],
)
def test_a_wrong_value_is_told_by_account_and_field_and_not_repeated(
    field: str, value: object
) -> None:
    readable = read_accounts(secret(eu={"api_key": KEY, field: value}))
    assert readable.accounts == [Account("good", GOOD)]
    (trouble,) = readable.troubles
    assert "'eu'" in str(trouble)
    assert field in str(trouble)
    assert str(value) not in str(trouble)


@pytest.mark.parametrize("name", ["a", "a-1", "0", "a" * 32])
def test_a_name_is_of_small_letters_digits_and_hyphens(name: str) -> None:
    accounts = read_accounts(secret(**{name: {"api_key": KEY}})).accounts
    assert [account.name for account in accounts] == [name, "good"]


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        *[(name, {"api_key": KEY}) for name in ("", "A", "a_b", "a/b", "é", "a\n", "#a", "a" * 33)],
        *[("bad", entry) for entry in (None, KEY, [KEY], {}, {"key": KEY})],
        *[
            ("bad", {"api_key": key})
            for key in (None, "", " ", 7, [KEY], f"{KEY}é", f"{KEY}\nsk-2")
        ],
        *[("bad", {"api_key": KEY, "base_url": f"http://{at}/v1"}) for at in ("a.b", "10.0.0.1")],
        *[("bad", {"api_key": KEY, "base_url": url}) for url in ("a.b", 7, ["a"], "https://[::1")],
        *[("bad", {"api_key": KEY, name: 7}) for name in ("organization", "project")],
        *[("bad", {"api_key": KEY, name: "ü"}) for name in ("organization", "project")],
        *[("bad", {"api_key": KEY, name: "x"}) for name in ("baseurl", "Project", KEY)],
        ("bad", {"api_key": KEY, "base_url": "https://a.b/openai?api-version=1"}),
    ],
)
def test_one_bad_account_does_not_hold_up_the_others(name: str, entry: object) -> None:
    readable = read_accounts(secret(**{name: entry}))
    assert readable.accounts == [Account("good", GOOD)]
    (trouble,) = readable.troubles
    assert any(said in str(trouble) for said in (repr(name), "account 1 of"))
    assert "0123456789" not in str(trouble)


@pytest.mark.parametrize(
    "text",
    [
        "",
        KEY,
        "{",
        "null",
        "7",
        "[]",
        "{}",
        "[" * 100_000,
        json.dumps({"default": {"api_key": KEY}}),
        *[json.dumps({"accounts": said}) for said in (None, 7, KEY, [KEY], [[7, {}]])],
    ],
    ids=lambda text: text[:20],
)
def test_a_secret_that_names_no_accounts_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(SecretError) as refusal:
        read_accounts(text)
    assert "0123456789" not in str(refusal.value)


def test_a_secret_may_name_no_account_yet() -> None:
    assert read_accounts('{"accounts": {}}') == ([], [], [], [])


def test_an_account_name_begins_like_an_id_since_it_becomes_part_of_keys() -> None:
    readable = read_accounts('{"accounts": {"-prod": {"api_key": "sk-1"}}}')

    assert (readable.accounts, len(readable.troubles)) == ([], 1)


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    readable = read_accounts(
        '{"accounts": {"a": {"api_key": "sk-1", "base_url": "https://me:hidden@gate.example/v1"}}}'
    )

    assert readable.accounts == []
    assert "hidden" not in str(readable.troubles[0])


def test_what_is_an_account_already_is_refused_under_a_second_name() -> None:
    entry = {"api_key": KEY, "base_url": "https://a.b/v1"}
    readable = read_accounts(secret(a=entry, b=entry, c=entry | {"project": "p"}))
    assert [account.name for account in readable.accounts] == ["a", "c", "good"]
    assert [str(trouble) for trouble in readable.troubles] == ["account 'b' is the same as 'a'"]


SLACK = "https://hooks.slack.com/services/T0/B0/secret"


@pytest.mark.parametrize("nothing", [{}, {"slack_webhook_url": ""}, {"slack_webhook_url": None}])
def test_slack_is_told_only_if_the_secret_says_so(nothing: dict[str, Any]) -> None:
    assert read_slack_url(json.dumps({"accounts": {}} | nothing)) is None


@pytest.mark.parametrize("text", ["", "{", "null", "7", "[]", f'"{SLACK}"', "[" * 100_000])
def test_a_secret_that_is_no_object_says_nothing_of_slack(text: str) -> None:
    with pytest.raises(SecretError) as refusal:
        read_slack_url(text)
    assert "secret/" not in str(refusal.value)
    assert SLACK not in str(refusal.value)


def test_where_slack_is_stands_beside_the_accounts_and_is_read_with_them() -> None:
    with aws_in_memory():
        secrets = boto3.client("secretsmanager", "eu-central-1")
        text = json.dumps({"accounts": {"a": {"api_key": KEY}}, "slack_webhook_url": SLACK})
        secrets.create_secret(Name="s", SecretString=text)
        accounts = Accounts(secrets, "s")
        read = accounts.all()
        secrets.put_secret_value(SecretId="s", SecretString="{}")
        assert accounts.slack_url() == SLACK
    assert (read.accounts, read.troubles) == ([Account("a", KEY)], [])


def test_a_field_of_the_secret_that_nobody_knows_is_told_and_harms_no_account() -> None:
    text = json.dumps({"accounts": {"a": {"api_key": KEY}}, "slack_webhook": SLACK, KEY: "hidden"})

    read = read_accounts(text)

    assert [account.name for account in read.accounts] == ["a"]
    assert read.troubles == []
    assert [str(weak) for weak in read.weak] == [
        "the secret has fields that nobody knows: …, slack_webhook"
    ]
