"""What jsonschema says of TOML files, as Python reads them.

schema.py: reads from standard input {"schemas": {NAME: SCHEMA}, "files": [[NAME, TOML], ...]}, and
prints for each file a list of places that are wrong, such as "async.web.exce". Schemas are checked
first.
"""

import json
import re
import sys
import tomllib

from jsonschema import Draft7Validator


def place(path):
    return ".".join(str(part) for part in path)


def places(error):
    path = list(error.absolute_path)
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        patterns = error.schema.get("patternProperties", {})
        for name in error.instance:
            if name not in known and not any(re.search(one, name) for one in patterns):
                yield place(path + [name])
    else:
        yield place(path)


asked = json.load(sys.stdin)
validators = {}
for name, schema in asked["schemas"].items():
    Draft7Validator.check_schema(schema)
    assert schema["$schema"] == Draft7Validator.META_SCHEMA["$schema"]
    validators[name] = Draft7Validator(schema)
said = []
for name, text in asked["files"]:
    errors = validators[name].iter_errors(tomllib.loads(text))
    said.append(sorted({at for error in errors for at in places(error)}))
json.dump(said, sys.stdout)
