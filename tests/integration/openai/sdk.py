# SPDX-License-Identifier: Apache-2.0
"""OpenAI's own SDK against a gateway: what its users do, typed by its pydantic models, and the errors that they catch.

    python sdk.py BASE_URL KEY     e.g. http://127.0.0.1:8000/v1 some-key

One line per test; exit status 1 if one failed. The model may be any, the test model included: greedy answers are compared with
each other, never with words.
"""
import asyncio
import json
import sys
import time
import traceback
import urllib.request

import openai

BASE, KEY = sys.argv[1], sys.argv[2]
client = openai.OpenAI(base_url=BASE, api_key=KEY, max_retries=0)
MODEL = client.models.list().data[0].id
CHAT = [{"role": "system", "content": "Answer briefly."}, {"role": "user", "content": "Name three rivers."}]
PROMPT = "The three largest rivers are"
GREEDY = {"model": MODEL, "temperature": 0}


def chat(**more):
    return client.chat.completions.create(messages=CHAT, **{**GREEDY, "max_tokens": 24, **more})


def complete(**more):
    return client.completions.create(**{**GREEDY, "prompt": PROMPT, "max_tokens": 24, **more})


def refused(kind, call, code, param=None):
    """The error that `call` raises, after a look at its four members."""
    try:
        call()
    except kind as error:
        assert error.code == code, (error.code, error.body)
        assert param is None or error.param == param, (error.param, error.body)
        assert set(error.body) == {"message", "type", "param", "code"}, error.body
        assert isinstance(error.body["message"], str) and isinstance(error.body["type"], str), error.body
        return error
    raise AssertionError(f"{kind.__name__} was expected")


def get(path, method="GET", body=None):
    request = urllib.request.Request(BASE.removesuffix("/v1") + path, method=method, data=None if body is None else json.dumps(body).encode())
    request.add_header("Authorization", "Bearer " + KEY)
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.status, dict(answer.headers), answer.read().decode()


def test_models():
    models = client.models.list()
    assert models.object == "list" and models.data[0].object == "model" and models.data[0].owned_by == "baton"
    assert client.models.retrieve(MODEL).id == MODEL
    refused(openai.NotFoundError, lambda: client.models.retrieve("gpt-99"), "model_not_found", "model")


def test_completion():
    answer = complete()
    assert answer.object == "text_completion" and answer.id.startswith("cmpl-") and answer.model == MODEL
    assert answer.choices[0].finish_reason in ("length", "stop") and answer.choices[0].index == 0
    usage = answer.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens and usage.prompt_tokens > 0
    assert usage.completion_tokens == 24 or answer.choices[0].finish_reason == "stop"
    short = client.completions.create(model=MODEL, prompt=PROMPT, temperature=0, extra_body={"ignore_eos": True})
    assert short.usage.completion_tokens == 16, "the default of completions"


def test_chat():
    answer = chat()
    assert answer.object == "chat.completion" and answer.id.startswith("chatcmpl-")
    message = answer.choices[0].message
    assert message.role == "assistant" and isinstance(message.content, str) and message.refusal is None
    assert answer.system_fingerprint and abs(answer.created - time.time()) < 60
    assert chat().choices[0].message.content == message.content, "greedy answers are equal"
    parts = [{"role": m["role"], "content": [{"type": "text", "text": m["content"]}]} for m in CHAT]
    again = client.chat.completions.create(messages=parts, max_completion_tokens=24, **GREEDY)
    assert again.choices[0].message.content == message.content, "content in parts is the same content"


def test_chat_stream():
    chunks = list(chat(stream=True, stream_options={"include_usage": True}))
    assert len({(c.id, c.created, c.model, c.object) for c in chunks}) == 1 and chunks[0].object == "chat.completion.chunk"
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices == [] and chunks[-1].usage.total_tokens > 0
    assert all(c.usage is None for c in chunks[:-1])
    assert chunks[-2].choices[0].finish_reason in ("length", "stop")
    text = "".join(c.choices[0].delta.content or "" for c in chunks[:-1])
    whole = chat()
    assert text == whole.choices[0].message.content and chunks[-1].usage.total_tokens == whole.usage.total_tokens
    assert all(c.usage is None for c in chat(stream=True)), "only where it is asked for"


def test_completion_stream():
    chunks = list(complete(stream=True))
    assert "".join(c.choices[0].text for c in chunks) == complete().choices[0].text
    assert chunks[-1].choices[0].finish_reason in ("length", "stop") and chunks[0].object == "text_completion"


def test_stream_helper():
    with client.chat.completions.stream(messages=CHAT, model=MODEL, temperature=0, max_tokens=24, extra_body={"ignore_eos": True}) as stream:
        text = "".join(event.delta for event in stream if event.type == "content.delta")
    assert text == chat(extra_body={"ignore_eos": True}).choices[0].message.content


def test_chat_logprobs():
    answer = chat(logprobs=True, top_logprobs=3, max_tokens=8)
    content = answer.choices[0].logprobs.content
    assert len(content) == answer.usage.completion_tokens
    for entry in content:
        assert entry.logprob <= 0 and len(entry.top_logprobs) == 3
        assert entry.top_logprobs[0].logprob == entry.logprob, "greedy: the likeliest"
    chunks = list(chat(logprobs=True, top_logprobs=3, max_tokens=8, stream=True))
    streamed = [entry for c in chunks if c.choices[0].logprobs for entry in c.choices[0].logprobs.content]
    assert [e.logprob for e in streamed] == [e.logprob for e in content]
    assert chat(max_tokens=2).choices[0].logprobs is None


def test_completion_logprobs():
    answer = complete(logprobs=2, max_tokens=6)
    logprobs = answer.choices[0].logprobs
    lists = (logprobs.tokens, logprobs.token_logprobs, logprobs.top_logprobs, logprobs.text_offset)
    assert {len(each) for each in lists} == {answer.usage.completion_tokens}
    echoed = complete(logprobs=2, max_tokens=6, echo=True)
    assert echoed.choices[0].text == PROMPT + answer.choices[0].text
    assert len(echoed.choices[0].logprobs.tokens) == echoed.usage.total_tokens
    assert echoed.choices[0].logprobs.token_logprobs[0] is None
    scored = complete(logprobs=1, max_tokens=0, echo=True)
    assert scored.choices[0].text == PROMPT and scored.usage.completion_tokens == 0
    assert scored.choices[0].logprobs.token_logprobs == echoed.choices[0].logprobs.token_logprobs[: scored.usage.prompt_tokens]


def test_stop():
    text = complete(extra_body={"ignore_eos": True}).choices[0].text
    end = text[len(text) // 2 : len(text) // 2 + 2]
    answer = complete(stop=[end], extra_body={"ignore_eos": True})
    assert answer.choices[0].finish_reason == "stop" and end not in answer.choices[0].text
    assert answer.choices[0].text == text[: text.index(end)]
    assert answer.choices[0].stop_reason == end
    streamed = "".join(c.choices[0].text for c in complete(stop=end, stream=True, extra_body={"ignore_eos": True}))
    assert streamed == answer.choices[0].text
    kept = complete(stop=end, extra_body={"ignore_eos": True, "include_stop_str_in_output": True})
    assert kept.choices[0].text == answer.choices[0].text + end


def test_n_and_seed():
    drawn = {"temperature": 1.0, "n": 3, "seed": 7, "max_tokens": 12}
    answer = chat(**drawn)
    texts = [c.message.content for c in answer.choices]
    assert [c.index for c in answer.choices] == [0, 1, 2] and len(set(texts)) > 1
    assert [c.message.content for c in chat(**drawn).choices] == texts, "one seed, one answer"
    assert [c.message.content for c in chat(**{**drawn, "seed": 8}).choices] != texts
    streamed = ["", "", ""]
    for chunk in chat(**drawn, stream=True):
        for choice in chunk.choices:
            streamed[choice.index] += choice.delta.content or ""
    assert streamed == texts


def test_cached_tokens():
    long = "All rivers of the world, one after another, by length: " * 12
    complete(prompt=long, max_tokens=1)
    again = complete(prompt=long, max_tokens=1)
    assert 0 < again.usage.prompt_tokens_details.cached_tokens < again.usage.prompt_tokens
    other = complete(prompt=long, max_tokens=1, extra_body={"cache_salt": "another-tenant"})
    assert other.usage.prompt_tokens_details.cached_tokens == 0, "another salt shares nothing"
    assert other.choices[0].text == again.choices[0].text
    chunks = list(complete(prompt=long, max_tokens=1, stream=True, stream_options={"include_usage": True}))
    assert chunks[-1].usage.prompt_tokens_details.cached_tokens > 0


def test_prompts():
    ids = json.loads(get("/tokenize", "POST", {"prompt": PROMPT})[2])
    assert ids["count"] == len(ids["tokens"]) > 0
    assert json.loads(get("/detokenize", "POST", {"tokens": ids["tokens"]})[2])["prompt"].endswith(PROMPT)
    by_ids, by_text = complete(prompt=ids["tokens"]), complete()
    assert by_ids.choices[0].text == by_text.choices[0].text and by_ids.usage.total_tokens == by_text.usage.total_tokens
    two = complete(prompt=[PROMPT, "Another one"], n=2)
    assert [c.index for c in two.choices] == [0, 1, 2, 3] and two.choices[0].text == by_text.choices[0].text
    assert two.choices[2].text == complete(prompt="Another one").choices[0].text


def test_extensions():
    more = {"ignore_eos": True, "min_tokens": 4, "top_k": 5, "min_p": 0.1, "repetition_penalty": 1.1, "return_token_ids": True}
    answer = complete(extra_body=more)
    assert answer.usage.completion_tokens == 24
    assert len(answer.choices[0].token_ids) == 24 and len(answer.choices[0].prompt_token_ids) == answer.usage.prompt_tokens
    raw = client.completions.with_raw_response.create(**GREEDY, prompt=PROMPT, max_tokens=1, extra_body={"brand_new": 1}, extra_headers={"X-Request-Id": "mine"})
    assert raw.headers["x-ignored-params"] == "brand_new" and raw.headers["x-request-id"] == "mine"


def test_errors():
    bad = openai.BadRequestError
    refused(openai.NotFoundError, lambda: chat(model="gpt-99"), "model_not_found", "model")
    refused(bad, lambda: chat(temperature=3), "invalid_request_error", "temperature")
    refused(bad, lambda: chat(n=17), "invalid_request_error", "n")
    refused(bad, lambda: chat(top_logprobs=2), "invalid_request_error", "top_logprobs")
    refused(bad, lambda: chat(stop=["a"] * 17), "invalid_request_error", "stop")
    refused(bad, lambda: complete(max_tokens=10**6), "context_length_exceeded")
    refused(bad, lambda: complete(prompt="river " * 20000), "context_length_exceeded")
    refused(bad, lambda: complete(prompt=[-1]), "invalid_request_error", "prompt")
    refused(bad, lambda: chat(response_format={"type": "json_object"}), "unsupported_parameter", "response_format")
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
    refused(bad, lambda: chat(tools=[tool]), "unsupported_parameter", "tools")
    refused(bad, lambda: complete(extra_body={"guided_regex": "a+"}), "unsupported_parameter", "guided_regex")
    refused(bad, lambda: client.chat.completions.create(model=MODEL, messages=[]), "invalid_request_error", "messages")
    stranger = openai.OpenAI(base_url=BASE, api_key="not-a-key", max_retries=0)
    error = refused(openai.AuthenticationError, stranger.models.list, "invalid_api_key")
    assert error.status_code == 401


def test_a_closed_stream_is_cancelled():
    stream = complete(stream=True, max_tokens=1500, extra_body={"ignore_eos": True})
    first = next(iter(stream))
    stream.close()
    for _ in range(100):
        state = json.loads(get("/v1/requests/" + first.id)[2])
        if state["status"] != "running":
            break
        time.sleep(0.01)
    assert state["status"] == "cancelled", state


def test_requests():
    answer = complete()
    state = json.loads(get("/v1/requests/" + answer.id)[2])
    assert state["status"] == "completed" and state["usage"]["total_tokens"] == answer.usage.total_tokens
    timings = state["timings"]
    assert timings["ttft_ms"] <= timings["total_ms"] and state["decode_worker"]
    parts = sum(timings[part + "_ms"] for part in ("queue", "prefill", "transfer", "first_step", "decode"))
    assert parts <= timings["total_ms"] * 1.001, timings
    stream = complete(stream=True, max_tokens=1500, extra_body={"ignore_eos": True})
    first = next(iter(stream))
    assert json.loads(get("/v1/requests/" + first.id, "DELETE")[2])["cancelled"] is True
    try:
        for _ in stream:
            pass
        raise AssertionError("the end of a cancelled stream is an error")
    except openai.APIError as error:
        assert error.code == "cancelled", error.body


def test_many_at_once():
    async def ask():
        several = openai.AsyncOpenAI(base_url=BASE, api_key=KEY, max_retries=0)
        calls = [several.chat.completions.create(messages=CHAT, max_tokens=24, stream=i % 2 == 1, **GREEDY) for i in range(32)]
        texts = []
        for answer in await asyncio.gather(*calls):
            if hasattr(answer, "choices"):
                texts.append(answer.choices[0].message.content)
            else:
                texts.append("".join([c.choices[0].delta.content or "" async for c in answer if c.choices]))
        return texts

    assert set(asyncio.run(ask())) == {chat().choices[0].message.content}


def main():
    failed = 0
    for name, test in list(globals().items()):
        if not name.startswith("test_"):
            continue
        began = time.monotonic()
        try:
            test()
            print(f"ok      {name} ({time.monotonic() - began:.2f} s)", flush=True)
        except Exception:  # noqa: BLE001 whatever it was, the other tests are still of interest
            failed += 1
            print(f"FAILED  {name}\n{traceback.format_exc()}", flush=True)
    return 1 if failed else 0


sys.exit(main())
