"""junit.py SCHEMA: reads JUnit XML from standard input with lxml against the schema, and
with junitparser; says as JSON what they understood."""

import json
import sys

from junitparser import JUnitXml
from lxml import etree

xml = sys.stdin.buffer.read()
tree = etree.fromstring(xml)
schema = etree.XMLSchema(etree.parse(sys.argv[1]))
schema.validate(tree)
report = JUnitXml.fromstring(xml)
cases = [
    {
        "classname": case.classname,
        "name": case.name,
        "time": case.time,
        "result": [
            {"is": type(of).__name__, "message": of.message, "type": of.type, "text": of.text}
            for of in case.result
        ],
    }
    for suite in report
    for case in suite
]
properties = [{it.name: it.value for it in suite.properties()} for suite in report]
# junitparser counts the cases itself.
report.update_statistics()
counted = {it: getattr(report, it) for it in ("tests", "failures", "errors", "skipped")}
json.dump(
    {
        "schema": [str(error) for error in schema.error_log],
        "testsuites": dict(tree.attrib),
        "testsuite": [dict(suite.attrib) for suite in tree],
        "properties": properties,
        "counted": counted,
        "cases": cases,
    },
    sys.stdout,
)
