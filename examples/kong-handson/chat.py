"""A call with the official OpenAI SDK: only the base URL and the key differ from a call to OpenAI.

usage: chat.py BASE_URL
"""

import sys

from openai import OpenAI, omit

client = OpenAI(base_url=sys.argv[1], api_key="dummy")
stream = client.chat.completions.create(
    model=omit,
    messages=[{"role": "user", "content": "What is an LLM gateway?"}],
    stream=True,
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="")
print()
