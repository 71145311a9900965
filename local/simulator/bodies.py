"""What each endpoint answers to one request of a batch: pure, repeatable."""

from local.simulator.lifecycle import Script, digest, usage

MARK = "\udcff"  # where padding goes; written as a byte that no text in UTF-8 has


def created_at(batch_id: str) -> int:
    """Read when a batch was created from its id."""
    return int(batch_id.removeprefix("batch_")[:8], 16)


def _chat_completion(script: Script, batch_id: str, number: int) -> dict[str, object]:
    message: dict[str, object] = {"role": "assistant", "content": _text(number)}
    message |= {"refusal": None, "annotations": []}
    tokens = _prompt_tokens(script)
    tokens["prompt_tokens_details"] = {"cached_tokens": 0, "audio_tokens": 0}
    tokens["completion_tokens_details"] = {"reasoning_tokens": 0, "audio_tokens": 0}
    return {
        "id": f"chatcmpl-{digest('answer', batch_id, number)[:29]}",
        "object": "chat.completion",
        "created": created_at(batch_id),
        "model": script.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": tokens,
        "service_tier": "default",
        "system_fingerprint": None,
    }


def _completion(script: Script, batch_id: str, number: int) -> dict[str, object]:
    choice = {"index": 0, "text": _text(number), "logprobs": None, "finish_reason": "stop"}
    return {
        "id": f"cmpl-{digest('answer', batch_id, number)[:29]}",
        "object": "text_completion",
        "created": created_at(batch_id),
        "model": script.model,
        "choices": [choice],
        "usage": _prompt_tokens(script),
    }


def _model_response(script: Script, batch_id: str, number: int) -> dict[str, object]:
    identity = digest("answer", batch_id, number)[:50]
    text = {"type": "output_text", "annotations": [], "logprobs": [], "text": _text(number)}
    message = {
        "id": f"msg_{identity}",
        "type": "message",
        "status": "completed",
        "content": [text],
        "role": "assistant",
    }
    return {
        "id": f"resp_{identity}",
        "object": "response",
        "created_at": created_at(batch_id),
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "model": script.model,
        "output": [message],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": usage(script, 1),
        "metadata": {},
    }


def _embedding(script: Script, batch_id: str, number: int) -> dict[str, object]:
    tokens = usage(script, 1)
    seed = bytes.fromhex(digest("answer", batch_id, number))
    vector = [*(round(byte / 255 - 0.5, 8) for byte in seed[:8]), MARK]
    return {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": vector}],
        "model": script.model,
        "usage": {"prompt_tokens": tokens["input_tokens"], "total_tokens": tokens["total_tokens"]},
    }


def _moderation(script: Script, batch_id: str, number: int) -> dict[str, object]:
    result = {
        "flagged": False,
        "categories": {"violence": False},
        "category_scores": {"violence": 0.0001},
        "category_applied_input_types": {"violence": ["text"]},
    }
    identity = digest("answer", batch_id, number)[:29]
    return {"id": f"modr-{identity}", "model": script.model, "results": [result]}


def _image(script: Script, batch_id: str, number: int) -> dict[str, object]:
    return {
        "created": created_at(batch_id),
        "data": [{"b64_json": f"{digest('answer', batch_id, number)}{MARK}"}],
        "usage": usage(script, 1),
    }


def _video(script: Script, batch_id: str, number: int) -> dict[str, object]:
    return {
        "id": f"video_{digest('answer', batch_id, number)[:48]}",
        "object": "video",
        "created_at": created_at(batch_id),
        "model": script.model,
        "status": "queued",
        "progress": 0,
        "seconds": "4",
        "size": "720x1280",
        "error": None,
    }


BODIES = {
    "/v1/chat/completions": _chat_completion,
    "/v1/completions": _completion,
    "/v1/embeddings": _embedding,
    "/v1/images/edits": _image,
    "/v1/images/generations": _image,
    "/v1/moderations": _moderation,
    "/v1/responses": _model_response,
    "/v1/videos": _video,
}


def _prompt_tokens(script: Script) -> dict[str, object]:
    tokens = usage(script, 1)
    return {
        "prompt_tokens": tokens["input_tokens"],
        "completion_tokens": tokens["output_tokens"],
        "total_tokens": tokens["total_tokens"],
    }


def _text(number: int) -> str:
    # U+2028 ends a line for str.splitlines() but not in JSONL
    return f"Réponse {number + 1}:\u2028it depends{MARK}."
