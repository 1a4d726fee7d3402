"""Drives a gateway with the official OpenAI SDK for Python; prints what it saw as one JSON object.

usage: sdk-openai.py GATEWAY_URL KEY REVOKED_KEY
"""

import json
import sys

import openai

url, key, revoked = sys.argv[1:4]
messages = [{"role": "user", "content": "Hi"}]


def client(api_key, base="/v1"):
    return openai.OpenAI(api_key=api_key, base_url=url + base, max_retries=0)


def failure(call):
    try:
        call()
    except openai.APIStatusError as error:
        return [type(error).__name__, error.status_code, error.code]
    return None


def said(stream):
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


alice = client(key)
answer = alice.chat.completions.create(model="gpt-4o", messages=messages)
print(
    json.dumps(
        {
            "chat": answer.choices[0].message.content,
            "tokens": answer.usage.total_tokens,
            "stream": said(alice.chat.completions.create(model="gpt-4o", messages=messages, stream=True)),
            "embedding": alice.embeddings.create(model="embed", input="a").data[0].embedding,
            "models": [model.id for model in alice.models.list().data],
            "wrong_key": failure(lambda: client("slc_wrong").chat.completions.create(model="gpt-4o", messages=messages)),
            "revoked_key": failure(lambda: client(revoked).chat.completions.create(model="gpt-4o", messages=messages)),
            "unknown_model": failure(lambda: alice.chat.completions.create(model="gpt-9", messages=messages)),
            "malformed_body": failure(lambda: alice.post("/chat/completions", cast_to=object, body={"model": "gpt-4o"})),
            # The hands-on article's client: a dummy key, no parameters; the SDK insists on a model, which may be omitted.
            "open_path": said(client("dummy", "/chat").chat.completions.create(model=openai.omit, messages=messages, stream=True)),
        }
    )
)
