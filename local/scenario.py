"""The built-in scenario: a dozen batches over three endpoints, with every end there is."""

from local.simulator import Script

CHAT = "/v1/chat/completions"
RESPONSES = "/v1/responses"
EMBEDDINGS = "/v1/embeddings"


def scenario(large_output: int = 0) -> list[Script]:
    """Return the scripts; with `large_output` bytes, one more batch with a file of that size."""
    scripts = [
        Script(name="nightly-summaries", endpoint=CHAT, requests=400, ends="completed",
               validating=1, running=9, finalizing=2),
        Script(name="product-vectors", endpoint=EMBEDDINGS, requests=1000, ends="completed",
               validating=2, running=12, finalizing=3),
        Script(name="support-answers", endpoint=RESPONSES, requests=120, ends="completed",
               validating=1, running=6, finalizing=1),
        Script(name="one-question", endpoint=RESPONSES, requests=1, ends="completed",
               validating=1, running=2, finalizing=1),
        Script(name="translations", endpoint=CHAT, requests=200, ends="completed", failed=12,
               validating=2, running=10, finalizing=2),
        Script(name="catalogue-vectors", endpoint=EMBEDDINGS, requests=500, ends="completed",
               failed=3, validating=3, running=11, finalizing=2),
        Script(name="captions", endpoint=RESPONSES, requests=90, ends="completed", failed=5,
               validating=1, running=8, finalizing=1),
        Script(name="wrong-parameters", endpoint=CHAT, requests=60, ends="completed", failed=60,
               validating=1, running=4, finalizing=1),
        Script(name="broken-input", endpoint=EMBEDDINGS, requests=40, ends="failed",
               validating=3),
        Script(name="long-reasoning", endpoint=RESPONSES, requests=80, ends="expired", failed=2,
               unfinished=30, validating=2, running=13, finalizing=2),
        Script(name="review-labels", endpoint=CHAT, requests=300, ends="cancelled",
               unfinished=180, validating=1, running=7, finalizing=4),
        Script(name="second-thoughts", endpoint=EMBEDDINGS, requests=40, ends="cancelled",
               validating=2, running=0, finalizing=3),
    ]  # fmt: skip
    if large_output:
        scripts.append(
            Script(name="large-output", endpoint=EMBEDDINGS, requests=2000, ends="completed",
                   validating=1, running=6, finalizing=1, output_bytes=large_output)
        )  # fmt: skip
    return scripts
