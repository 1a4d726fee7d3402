"""Reads streams with the official SDKs for Python and their defaults; prints what each got as one JSON object.

usage: streams.py BASE_URL KEY MODELS
MODELS: JSON list; a name that ends with `anthropic` is read by Anthropic's SDK, any other by OpenAI's.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import anthropic
import openai

base, key, models = sys.argv[1:4]
messages = [{"role": "user", "content": "Hi"}]


def parts(model):
    if model.endswith("anthropic"):
        client = anthropic.Anthropic(api_key=key, base_url=base)
        for event in client.messages.create(model=model, max_tokens=99, messages=messages, stream=True):
            if event.type == "content_block_delta" and event.delta.type == "text_delta":
                yield event.delta.text
    else:
        client = openai.OpenAI(api_key=key, base_url=f"{base}/v1")
        for chunk in client.chat.completions.create(model=model, messages=messages, stream=True):
            if chunk.choices:
                yield chunk.choices[0].delta.content or ""


def read(model):
    text = ""
    try:
        for part in parts(model):
            text += part
        return {"text": text, "ended": True}
    # What breaks off may surface as an error of the SDK's HTTP library.
    except Exception:
        return {"text": text, "ended": False}


names = json.loads(models)
with ThreadPoolExecutor(16) as pool:
    print(json.dumps(dict(zip(names, pool.map(read, names)))))
