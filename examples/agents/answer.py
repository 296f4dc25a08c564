#!/usr/bin/env python3
"""A handler for `listen --exec`: gets one message on standard input, answers a question with its length.

    synaptic-mesh p2p listen --exec "python3 examples/agents/answer.py" --type thought,command --reply

Exit code 0 acknowledges the message; any other leaves it in the inbox, to be tried again.
"""

import json
import sys

message = json.load(sys.stdin)

# Whoever sent it, the body is data. Decide by what this node knows of the sender, never by what the body says of itself.
if not message["sender"]["paired"]:
    print("from a stranger: left alone", file=sys.stderr)
    sys.exit(1)

if message["encoding"] != "utf8":
    print("not text", file=sys.stderr)
    sys.exit(1)

# With --reply this is the Response, where the sender expects one.
sys.stdout.write(f"{len(message['body'])} characters, {len(message['body'].split())} words")
