"""The parts of tests/openapi that are Python.

As a program it checks the document that it is given the name of: that it is OpenAPI 3.1, and that its examples are as
its schemas say. schemathesis loads it for `before_call` and `refusals`.
"""

import itertools
import json
import re
import sys

import requests
import schemathesis
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

DOCUMENT = "urn:document"

# What a healthy engine says no to: it depends on what the container does, which may have ended this very moment.
REFUSALS = re.compile(
    r"Docker error: (Container [0-9a-f]{64} is (not running|not paused|already paused)"
    r"|Cannot (pause|unpause|kill) container:? [0-9a-f]{64}: .*)"
)

# What is done to a container before every other request, so that there is something to do for the request.
BEFORE = {
    "startContainer": ["unpause", "kill"],
    "stopContainer": ["unpause", "start"],
    "pauseContainer": ["unpause", "start"],
    "unpauseContainer": ["start", "pause"],
    "killContainer": ["unpause", "start"],
}
NAMES = ("ffmpeg-kick", "muxer")
calls = itertools.count()


@schemathesis.hook
def before_call(_context, case, _kwargs):
    """Sees to it that not only refusals are seen."""
    name = (case.path_parameters or {}).get("name")
    if name not in NAMES or next(calls) % 2:
        return
    for verb in BEFORE.get(case.operation.definition.raw.get("operationId"), []):
        requests.post(f"{case.operation.base_url.rstrip('/')}/container/{name}/{verb}", timeout=20)


@schemathesis.check
def refusals(_context, response, _case):
    """With a healthy engine, 5xx is only ever the engine's own no."""
    if response.status_code < 500:
        return
    body = response.json()
    error = body.get("error") or body.get("detail") or ""
    if response.status_code != 500 or not REFUSALS.fullmatch(error):
        raise AssertionError(f"{response.status_code} with a healthy engine: {error}")


def examples(value, path=""):
    """Every example in the document, each with the path of its schema."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from examples(item, f"{path}/{index}")
    if not isinstance(value, dict):
        return
    if "schema" in value:
        if "example" in value:
            yield f"{path}/schema", value["example"]
        for example in value.get("examples", {}).values():
            yield f"{path}/schema", example["value"]
    for key, item in value.items():
        # What an example looks like inside is nobody's business.
        if key not in ("example", "examples", "schema"):
            yield from examples(item, f"{path}/{key.replace('~', '~0').replace('/', '~1')}")


def main(file):
    with open(file, encoding="utf-8") as text:
        document = json.load(text)
    OpenAPIV31SpecValidator(document).validate()
    resource = Resource.from_contents(document, default_specification=DRAFT202012)
    registry = Registry().with_resource(DOCUMENT, resource)
    count, wrong = 0, 0
    for path, example in examples(document):
        validator = Draft202012Validator(
            {"$ref": f"{DOCUMENT}#{path.replace('{', '%7B').replace('}', '%7D')}"},
            registry=registry,
            format_checker=Draft202012Validator.FORMAT_CHECKER,
        )
        count += 1
        for error in validator.iter_errors(example):
            wrong += 1
            print(f"{path}: {error.message}")
    operations = sum(len(methods) for methods in document["paths"].values())
    print(f"{operations} operations, {count} examples, {wrong} wrong")
    return operations == 0 or count == 0 or wrong > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
