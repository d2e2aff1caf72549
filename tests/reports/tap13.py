"""Reads TAP from standard input with tap.py; says as JSON what it understood."""

import io
import json
import sys

from tap.parser import Parser

lines = []
text = io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8").read()
for line in Parser().parse_text(text):
    said = {"category": line.category}
    if line.category == "test":
        said |= {
            "ok": line.ok,
            "number": line.number,
            "description": line.description,
            "todo": line.todo,
            "skip": line.skip,
            "directive": line.directive.text,
            "yaml": line.yaml_block,
        }
    elif line.category == "plan":
        said["expected"] = line.expected_tests
    elif line.category == "bail":
        said["reason"] = line.reason
    elif line.category == "version":
        said["version"] = line.version
    lines.append(said)
json.dump(lines, sys.stdout)
