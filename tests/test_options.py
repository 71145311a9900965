"""What a sidecar or the metadata of an object may say, and what is refused by a clear sentence."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchwatch.creating import (
    ENDPOINTS,
    LONGEST_EXPIRY,
    LONGEST_KEY,
    LONGEST_VALUE,
    MOST_PAIRS,
    SHORTEST_EXPIRY,
)
from batchwatch.errors import RefusedJobError
from batchwatch.submit.options import Options, read_options
from tests.builders import json_values, modest

EVERYTHING: dict[str, Any] = {
    "account": "team-a",
    "endpoint": "/v1/responses",
    "metadata": {"name": "nightly"},
    "output_expires_after": 86_400,
    "completion_window": "24h",
    "on_bad_lines": "refuse",
    "part_requests": 1_000,
}


def beside(said: object) -> bytes:
    return said if isinstance(said, bytes) else json.dumps(said).encode()


def read(said: object = None, **metadata: str) -> Options:
    """Read a sidecar, and metadata of an object."""
    names = {name.replace("_", "-"): text for name, text in metadata.items()}
    sidecar = None if said is None else beside(said)
    return read_options(sidecar, names, on_bad_lines="quarantine")


def refused(said: object = None, **metadata: str) -> str:
    with pytest.raises(RefusedJobError) as error:
        read(said, **metadata)
    return str(error.value)


def test_without_a_word_everything_is_as_the_stack_has_it() -> None:
    for default in ("quarantine", "refuse"):
        assert read_options(None, {}, on_bad_lines=default) == Options(on_bad_lines=default)


def test_a_sidecar_may_say_everything() -> None:
    assert read(EVERYTHING) == Options(**EVERYTHING)
    assert read(b"\xef\xbb\xbf" + beside(EVERYTHING)) == Options(**EVERYTHING)


def test_the_metadata_of_an_object_may_say_everything() -> None:
    said = {
        f"batchwatch_{name}": value if isinstance(value, str) else json.dumps(value)
        for name, value in EVERYTHING.items()
    }

    assert read(**said) == Options(**EVERYTHING)


def test_what_both_say_must_be_the_same() -> None:
    said = {"account": "mine", "metadata": {"a": "b"}}
    same = read(said, batchwatch_metadata='{"a": "b"}', batchwatch_endpoint="/v1/embeddings")

    assert same == Options(account="mine", metadata={"a": "b"}, endpoint="/v1/embeddings")
    with pytest.raises(RefusedJobError, match=r"^the option account is another one in the options"):
        read(said, batchwatch_account="other")


def test_what_else_an_object_has_of_metadata_is_none_of_our_business() -> None:
    assert read(s3cmd_attrs="uid:0", accounting="other", batchwatch="x") == Options()


@pytest.mark.parametrize("name", ["account", "part_requests", "part-requests", "Metadata"])
def test_an_option_without_its_prefix_is_not_taken_for_something_else(name: str) -> None:
    with pytest.raises(RefusedJobError, match=r"is batchwatch-[a-z-]+ meant\?$"):
        read_options(None, {name: "1"}, on_bad_lines="refuse")


def test_null_says_nothing() -> None:
    assert read(dict.fromkeys(EVERYTHING)) == Options()


def test_an_expiry_may_have_the_form_of_the_api() -> None:
    form = {"anchor": "created_at", "seconds": 7_200}

    assert read({"output_expires_after": form}).output_expires_after == 7_200
    text = read(batchwatch_output_expires_after=json.dumps(form))
    assert text.output_expires_after == 7_200


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_every_endpoint_of_the_api_is_understood(endpoint: str) -> None:
    assert read({"endpoint": endpoint}).endpoint == endpoint


def test_the_largest_that_the_api_allows_is_allowed() -> None:
    pairs = {f"{n:0{LONGEST_KEY}}": "é" * LONGEST_VALUE for n in range(MOST_PAIRS - 1)}

    assert read({"metadata": pairs}).metadata == pairs
    for seconds in (SHORTEST_EXPIRY, LONGEST_EXPIRY):
        assert read({"output_expires_after": seconds}).output_expires_after == seconds
    for requests in (1, 50_000):
        assert read({"part_requests": requests}).part_requests == requests


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("account", "Team"),
        ("account", ""),
        ("account", "a" * 33),
        ("account", "-a"),
        ("account", "a\n"),
        ("account", 7),
        ("endpoint", "/v1/files"),
        ("endpoint", "/v1/responses/"),
        ("endpoint", ["/v1/responses"]),
        ("metadata", {"a": 1}),
        ("metadata", ["a"]),
        ("metadata", "a"),
        ("metadata", {"a" * (LONGEST_KEY + 1): "b"}),
        ("metadata", {"a": "b" * (LONGEST_VALUE + 1)}),
        ("metadata", {str(n): "b" for n in range(MOST_PAIRS)}),
        ("metadata", {"batchwatch_submit": "job/1/1"}),
        ("output_expires_after", SHORTEST_EXPIRY - 1),
        ("output_expires_after", LONGEST_EXPIRY + 1),
        ("output_expires_after", "3600"),
        ("output_expires_after", 3600.5),
        ("output_expires_after", True),
        ("output_expires_after", {"anchor": "last_active_at", "seconds": 3600}),
        ("output_expires_after", {"anchor": "created_at", "seconds": 1}),
        ("output_expires_after", {"anchor": "created_at", "seconds": None, "more": 1}),
        ("completion_window", "soon"),
        ("completion_window", 24),
        ("on_bad_lines", "ignore"),
        ("on_bad_lines", True),
        ("part_requests", 0),
        ("part_requests", 50_001),
        ("part_requests", "100"),
        ("part_requests", True),
    ],
)
def test_what_is_wrong_is_refused_by_its_name_and_told_how_it_must_be(
    name: str, value: object
) -> None:
    text = refused({**EVERYTHING, name: value})

    assert text.startswith(f"the option {name} must be ")
    assert text.count("\n") == 0


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("account", "Team"),
        ("metadata", "name=nightly"),
        ("metadata", "null"),
        ("metadata", '{"a": NaN}'),
        ("output_expires_after", "1h"),
        ("output_expires_after", "null"),
        ("output_expires_after", ""),
        ("part_requests", "1e3"),
        ("on_bad_lines", "Refuse"),
    ],
)
def test_metadata_that_is_wrong_is_refused_by_the_name_it_has_there(name: str, text: str) -> None:
    shown = f"batchwatch-{name}".replace("_", "-")

    said = refused({"part_requests": 5} if name != "part_requests" else None, **{shown: text})

    assert said.startswith(f"the option {shown} must be ")


@pytest.mark.parametrize("sidecar", [b"", b"{", b"[]", b'"a"', b"7", b"null", b"\xff", b"[" * 9999])
def test_a_sidecar_that_is_no_object_is_refused(sidecar: bytes) -> None:
    assert refused(sidecar) == "the options beside the file must be one JSON object, in UTF-8"


def test_an_unknown_name_is_refused_with_those_that_exist() -> None:
    assert refused({"acount": "a"}) == (
        "the option acount does not exist; there are account, completion_window, endpoint,"
        " metadata, on_bad_lines, output_expires_after, part_requests"
    )
    assert refused(batchwatch_acount="a") == (
        "the option batchwatch-acount does not exist; there are batchwatch-account,"
        " batchwatch-completion-window, batchwatch-endpoint, batchwatch-metadata,"
        " batchwatch-on-bad-lines, batchwatch-output-expires-after, batchwatch-part-requests"
    )


def test_nothing_of_what_is_refused_is_repeated() -> None:
    secret = "s3cr3t of Mrs. Müller"

    for name in EVERYTHING:
        assert secret not in refused({name: secret})
    assert secret not in refused({"metadata": {secret * 9: "a"}})
    assert secret not in refused({"metadata": {"a": secret * 99}})
    assert secret not in refused({secret: "a"})


@modest
@given(st.dictionaries(st.sampled_from([*EVERYTHING, "x"]), json_values) | json_values)
def test_whatever_is_said_is_read_or_refused(said: Any) -> None:
    try:
        options = read(beside(said))
    except RefusedJobError:
        return
    assert Options(**options.model_dump()) == options
    assert set(said) <= set(EVERYTHING)


@modest
@given(st.binary(max_size=40), st.text(max_size=20))
def test_whatever_bytes_are_said_are_read_or_refused(sidecar: bytes, text: str) -> None:
    for name in EVERYTHING:
        metadata = {f"batchwatch-{name}".replace("_", "-"): text}
        for said in (sidecar, None):
            with suppress(RefusedJobError):
                read_options(said, metadata, on_bad_lines="refuse")
