"""The same call without an SDK.

usage: post.py BASE_URL
"""

import json
import sys
from urllib.request import Request, urlopen

body = {"messages": [{"role": "user", "content": "What is an LLM gateway?"}]}
request = Request(sys.argv[1], json.dumps(body).encode(), {"Content-Type": "application/json"})
with urlopen(request) as response:
    print(json.load(response)["choices"][0]["message"]["content"])
