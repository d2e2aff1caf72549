"""Reads OpenMetrics from standard input with Prometheus' own library for Python, which is strict;
says as JSON the type, the unit and the number of samples of each family."""

import json
import sys

from prometheus_client.openmetrics.parser import text_fd_to_metric_families

families = text_fd_to_metric_families(sys.stdin)
said = {it.name: [it.type, it.unit, len(it.samples)] for it in families}
json.dump(said, sys.stdout)
