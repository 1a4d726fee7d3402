"""Drives every model of a gateway with the official SDKs for Python; prints what each saw as one JSON object.

usage: sdk-matrix.py GATEWAY_URL KEY MODEL...
"""

import json
import sys

import anthropic
import openai

url, key, *models = sys.argv[1:]
messages = [{"role": "user", "content": "Hi"}]
schema = {"type": "object", "properties": {"city": {"type": "string"}}}
tool = {"type": "function", "function": {"name": "weather", "parameters": schema}}


def with_openai(model):
    client = openai.OpenAI(api_key=key, base_url=url + "/v1", max_retries=0)
    plain = client.chat.completions.create(model=model, messages=messages)
    stream = client.chat.completions.create(model=model, messages=messages, stream=True)
    said = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    called = client.chat.completions.create(model=model, messages=messages, tools=[tool])
    call = called.choices[0].message.tool_calls[0]
    return [plain.choices[0].message.content, plain.usage.total_tokens, said, call.function.name, json.loads(call.function.arguments)]


def with_anthropic(model):
    client = anthropic.Anthropic(api_key=key, base_url=url, max_retries=0)
    plain = client.messages.create(model=model, max_tokens=99, messages=messages)
    with client.messages.stream(model=model, max_tokens=99, messages=messages) as stream:
        said = "".join(stream.text_stream)
    tools = [{"name": "weather", "input_schema": schema}]
    called = client.messages.create(model=model, max_tokens=99, messages=messages, tools=tools)
    call = next(block for block in called.content if block.type == "tool_use")
    total = plain.usage.input_tokens + (plain.usage.cache_read_input_tokens or 0) + plain.usage.output_tokens
    return [plain.content[0].text, total, said, call.name, call.input]


print(json.dumps({model: [with_openai(model), with_anthropic(model)] for model in models}))
