"""Which test types which command of the documents; and which none does, and why.

A new command goes into one of the two. An entry that ends in ` ...` stands for the one command that
begins so; the tests of tests/deploy/ say if they did not type what they are said to.
"""

from __future__ import annotations

from tests.documents import DOCUMENTS, commands, runbooks
from tests.whole.test_runbooks import NOT_HERE

WALK = "tests/deploy/test_documents.py::test_each_step_of_the_documents_does_what_its_text_promises"
UPKEEP = "tests/deploy/test_upkeep.py::test_what_renews_a_file_of_the_project_leaves_it_as_it_is"
AT_HAND = (
    "tests/deploy/test_upkeep.py::test_the_command_line_is_installed_and_completes_its_commands"
)
LOCAL = "tests/whole/test_local.py::"

TYPED: dict[str, list[str]] = {
    "tests/whole/test_runbooks.py::"
    "test_the_commands_of_the_runbooks_find_the_trouble_and_mend_it": [
        each for each in runbooks() if each not in NOT_HERE
    ],
    "tests/cli/test_docs.py::test_the_page_is_what_the_commands_say": [
        each.text for each in commands("docs/cli.md") if each.text.endswith(" --help")
    ],
    "tests/cli/test_docs.py::test_it_tells_which_version_it_is": ["batchwatch --version"],
    LOCAL + "test_the_main_job_takes_every_batch_of_the_scenario_to_its_end": [
        "python -m local",
        "uv run python -m local",
        "uv run python -m local --notify",
    ],
    "tests/whole/test_webhooks.py::"
    "test_a_local_run_with_webhooks_and_few_polls_ends_well_and_tells_how_soon": [
        "uv run python -m local --webhooks"
    ],
    LOCAL + "test_a_file_is_sent_in_parts_beside_the_batches_of_the_scenario": [
        "uv run python -m local --submit questions.jsonl"
    ],
    "tests/deploy/test_readme.py::"
    "test_the_readme_leads_to_the_first_mail_to_a_second_stack_and_away": [
        each.text
        for each in commands("README.md", "Deploy it")
        if each.text not in ("sam delete", "sam deploy", "sam deploy --guided")
    ],
    "tests/deploy/test_guided.py::test_enter_answers_every_question_but_the_address": [
        "sam deploy --guided",
        "sam deploy --parameter-overrides \"Prices='{…}'\"",
    ],
    WALK: [
        # README
        "batchwatch list --since 1h",
        "batchwatch watch batch_6b02532d08bd187f618220c41d3275a2",
        "batchwatch fetch batch_6b02532d08bd187f618220c41d3275a2 -o results",
        "batchwatch page",
        "batchwatch track batch_…",
        "aws dynamodb delete-item --table-name LEDGER_TABLE \\\n ...",
        "aws secretsmanager put-secret-value --secret-id KEYS_SECRET --secret-string file: ...",
        "read -rs KEY; read -rs HOOK",
        'printf \'{"accounts": {"default": {"api_key": "%s", "webhook_secrets" ...',
        "unset KEY HOOK",
        "aws logs tail LOG_GROUP --since 5m",
        "aws sns subscribe --topic-arn NOTIFICATIONS_TOPIC ...",
        "aws sns get-topic-attributes ...",
        "aws sns confirm-subscription ...",
        "read -rs URL",
        "aws secretsmanager get-secret-value ...",
        "unset URL",
        "aws s3 cp questions.jsonl s3://BUCKET_NAME/inbox/",
        "aws s3 cp questions.jsonl s3://BUCKET_NAME/inbox/ --metadata batchwatch-account ...",
        "aws s3 cp questions.jsonl s3://BUCKET_NAME/inbox/ --metadata '{ ...",
        "batchwatch submit questions.jsonl",
        "batchwatch jobs",
        "batchwatch show JOB",
        "jq -r .text lines.jsonl",
        *[each.text for each in commands("README.md", "Only what concerns you")],
        "aws events put-rule ...",
        "aws events put-targets ...",
        # docs/cli.md
        *[
            each.text
            for each in commands("docs/cli.md", "Answers, and how to use them in a script")
        ],
        "batchwatch page --open",
        "batchwatch page -o - ...",
        "aws iam attach-role-policy --role-name ROLE --policy-arn READERS_POLICY",
        "aws iam attach-role-policy --role-name ROLE --policy-arn OPERATORS_POLICY",
        # examples in --help
        "batchwatch list",
        "batchwatch list --status open",
        "batchwatch list --status failed ...",
        "batchwatch list --metadata ...",
        "batchwatch list --all --json ...",
        "batchwatch show batch_6b49d200819080aa9c1f3de5b7a90c42",
        "batchwatch show job_ ...",
        "batchwatch watch",
        "batchwatch watch batch_68f2 ...",
        "batchwatch events batch_6b49d200819080aa9c1f3de5b7a90c42",
        "batchwatch events batch_6b49d200819080aa9c1f3de5b7a90c42 | ...",
        "batchwatch submit a.jsonl b.jsonl ...",
        "batchwatch jobs --json ...",
        "batchwatch page --since 7d ...",
        "batchwatch track batch_6b49…",
        "batchwatch track --account research ...",
        "batchwatch cancel batch_6b49…",
        "batchwatch cancel questions.jsonl ...",
        "batchwatch fetch batch_abc",
        "batchwatch fetch --wait ...",
        "batchwatch fetch -o - ...",
        "batchwatch fetch --join ...",
        "batchwatch archive batch_6b49…",
        "batchwatch archive --check batch_6b49…",
        "batchwatch list --json | jq -r .id | batchwatch archive ...",
        "batchwatch replay batch_6b49… --type ...",
        "batchwatch replay batch_6b49… --sequence ...",
        "batchwatch replay --dry-run ...",
        "batchwatch list --json | jq -r .id | batchwatch replay ...",
        "batchwatch redrive",
        "batchwatch redrive --only ...",
        "batchwatch redrive archive --send-back",
        "batchwatch redrive inbox --drop-unreadable",
        "batchwatch doctor --json ...",
        "batchwatch doctor --probe ...",
        # docs/operations.md, examples/react-to-completed
        "now=$(date +%s) ...",
        "cd examples/react-to-completed",
        "told() ...",
        "sam deploy --stack-name batch-results ...",
        "aws s3 cp s3://RESULTS_BUCKET ...",
        "aws s3 rm s3://RESULTS_BUCKET --recursive",
        "sam delete --stack-name batch-results",
        "sam list stack-outputs --stack-name STACK",
    ],
    AT_HAND: [
        "uv tool install '.[cli]'",
        "batchwatch --version",
        "batchwatch --install-completion",
        "uv run batchwatch",
        "uv run batchwatch …",
        "python -m batchwatch.cli …",
        "uv run python -m local --help",
        "mkdir -p /MY_PROGRAM/batchwatch",
        "cd layers/core/batchwatch && cp ...",
    ],
    UPKEEP: [
        "uv run python -m docs.cli",
        "uv run python -m docs.events.generate",
        "uv run python -m tests.sample_digest",
        "uv run python -m local.slack_view",
        "uv run python -m tests.mishap.sweep 'ended/dies-after-17-sns.Publish'",
        "uv run --no-project --with genai-prices==0.2.3 python layers/core/renew_prices.py",
        "uv pip compile ...",
        "uv run python .ci/notices.py > NOTICE",
        "uv export ...",
        "uv run python -m tests.permissions",
    ],
    "tests/deploy/test_audit.py::test_what_the_database_knows_nothing_against_is_clean": [
        "uv run python .ci/audit.py"
    ],
    "tests/deploy/test_encryption.py::"
    "test_a_stack_at_work_is_given_a_key_and_nothing_is_lost_by_it": [
        each.text
        for each in commands("examples/customer-key/README.md")
        if not each.text.startswith("sam ")
    ],
}

LONG = [
    each.text
    for document in DOCUMENTS
    for each in commands(document)
    if " -m benchmarks" in each.text
    or each.text.startswith("uv run pytest")
    or each.text.startswith("uv run python -m tests.mishap.sweep --")
    or each.text == "uv run python -m tests.mishap.sweep"
]
"""What takes minutes to hours, and measures or tries at full size."""
NOT_TYPED: dict[str, str] = NOT_HERE | {
    "python3 -m pip install uv && uv run python -m local": "the second half is, the first by CI",
    "python3 -m pip install uv && uv run pytest": "by .ci/run, which types it as it stands",
    "bash .ci/run": "by CI",
    "uv run python -m local --stay": "it stays until Ctrl-C; the tests have a stack of their own",
    "uv run python -m local --base-url https://api.openai.com/v1": "asks OpenAI; with the address"
    " of a simulation tests/whole/test_local.py does",
    "aws sqs start-message-move-task --source-arn DEAD_LETTERS_ARN"
    " --destination-arn QUEUE_ARN": "Debian's CLI and the local AWS do not know it",
    "python -I -S -B": "how benchmarks/coldstart.py starts Python",
    "sam delete": "tests/deploy/ does, with the name of a stack",
    "sam deploy": "part of what is told of samconfig.toml",
    "git fetch --tags": "there is nowhere to fetch from; tests take a release from the history",
    "git switch --detach vVERSION": "as above",
    "sam build && sam deploy": "one after the other, by the tests of the deployment",
    "aws lambda list-layer-versions --layer-name STACK-core": "looks only;"
    " tests/deploy/ deletes one",
    "aws lambda delete-layer-version": "a name; README has the line",
    "uv run python -m tests.deploy.lived > tests/deploy/items-VERSION.json": "once in a version, by"
    " whoever releases it; tests/test_versions.py reads what it wrote",
    "uv tool run": "a name, not a line to type",
}
"""Why no test types it."""
_BY_NAME = {
    name: f"the name of a command, not a line to type; docs/cli.md has lines with {name!r}"
    for name in (
        f"batchwatch {which}"
        for which in ("show", "events", "submit", "track", "cancel", "fetch", "archive", "replay")
    )
}
NOT_TYPED |= dict.fromkeys(
    (
        f"sam deploy --parameter-overrides {what}"
        for what in ("Discovery=off", "Webhooks=on", "KmsKey=KEY_ARN", "NAME=value")
    ),
    "as the one with Dashboard=on is",
)
NOT_TYPED |= _BY_NAME | {"batchwatch show ID": "as `batchwatch show BATCH_ID` is"}
NOT_TYPED |= dict.fromkeys(LONG, "takes minutes to hours; its options are those of its program")


def stands_for(entry: str, command: str) -> bool:
    """Whether an entry is that command, or its beginning."""
    begins, cut, _ = entry.partition(" ...")
    return command.startswith(begins) if cut and entry.endswith(" ...") else command == entry


def typed_by(test: str) -> set[str]:
    """Give the commands that a test is said to type."""
    told = {each.text for document in DOCUMENTS for each in commands(document)}
    return {text for text in told if any(stands_for(entry, text) for entry in TYPED[test])}
