"""openapi.py FILE: checks an OpenAPI file with openapi-spec-validator, and real answers from
standard input against it with jsonschema: a JSON array of objects with the method, path, status,
type and body of each. Says as JSON what is wrong, and the operations that had a good answer."""

import copy
import json
import sys

from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

with open(sys.argv[1], encoding="utf-8") as file:
    spec = json.load(file)
wrong = [f"the file: {error.message}" for error in OpenAPIV31SpecValidator(spec).iter_errors()]

# Readers ignore fields that they do not know, but trc sends none that the file does not have.
strict = copy.deepcopy(spec)
for schema in strict["components"]["schemas"].values():
    if "properties" in schema:
        schema["additionalProperties"] = False
registry = Registry().with_resource("urn:trc", Resource(strict, DRAFT202012))


def find(pointer):
    found = strict
    for part in pointer.removeprefix("#/").split("/"):
        found = found[part.replace("~1", "/").replace("~0", "~")]
    return found


def check(what, schema, value):
    text = json.dumps(schema).replace('"#/', '"urn:trc#/')
    validator = Draft202012Validator(
        json.loads(text), registry=registry, format_checker=FormatChecker()
    )
    for error in validator.iter_errors(value):
        wrong.append(f"{what}: {error.json_path}: {error.message}: {json.dumps(value)}")


def records(kind, body):
    if kind == "text/event-stream":
        events = [event for event in body.split("\n\n") if event]
        return [json.loads(event.removeprefix("data: ")) for event in events]
    if kind == "application/x-ndjson":
        return [json.loads(line) for line in body.splitlines()]
    if kind.endswith("json"):
        return [json.loads(body)]
    return [body]


good = set()
for answer in json.load(sys.stdin):
    what = f"{answer['method']} {answer['path']} {answer['status']}"
    operation = spec["paths"][answer["path"]][answer["method"].lower()]
    responses = operation["responses"]
    response = responses.get(str(answer["status"]), responses["default"])
    response = find(response["$ref"]) if "$ref" in response else response
    media = response["content"].get(answer["type"])
    if media is None:
        wrong.append(f"{what}: the file does not have the type {answer['type']}")
        continue
    for record in records(answer["type"], answer["body"]):
        check(what, media["schema"], record)
    if answer["status"] < 300:
        good.add(operation["operationId"])
operations = {
    operation["operationId"]
    for path in spec["paths"].values()
    for method, operation in path.items()
    if method != "parameters"
}
json.dump({"wrong": wrong, "lacking": sorted(operations - good)}, sys.stdout)
