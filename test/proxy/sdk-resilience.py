"""Calls models with the official SDKs for Python and their own retries; prints which calls succeeded as one JSON object.

usage: sdk-resilience.py OPENAI_BASE_URL ANTHROPIC_BASE_URL KEY HANG_SECONDS MODELS
MODELS: JSON list; a name that begins with `messages-` is called by Anthropic's SDK, one with `hang` in it with a time-out.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import anthropic
import openai

openai_url, anthropic_url, key, hang_seconds, models = sys.argv[1:6]
messages = [{"role": "user", "content": "Hi"}]


def call(model):
    options = {"timeout": float(hang_seconds)} if "hang" in model else {}
    try:
        if model.startswith("messages-"):
            client = anthropic.Anthropic(api_key=key, base_url=anthropic_url, **options)
            client.messages.create(model=model, max_tokens=9, messages=messages)
        else:
            client = openai.OpenAI(api_key=key, base_url=openai_url, **options)
            client.chat.completions.create(model=model, messages=messages)
        return True
    except (openai.OpenAIError, anthropic.AnthropicError):
        return False


names = json.loads(models)
with ThreadPoolExecutor(len(names)) as pool:
    print(json.dumps(dict(zip(names, pool.map(call, names)))))
