"""A scrape of ``warehouse metrics``, read as Prometheus reads it, and the shipped alerts over many of them."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

RULES = Path(__file__).resolve().parents[2] / "docker" / "alerts.yml"


class Scrape:
    """Values by name and labels."""

    def __init__(self, text: str) -> None:
        self.families = list(text_string_to_metric_families(text))
        self.values = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families
            for sample in family.samples
        }

    @property
    def names(self) -> Mapping[str, tuple[str, set[str]]]:
        """Each metric's type, and the labels that its values have."""
        return {
            family.name: (
                family.type,
                {label for sample in family.samples for label in sample.labels},
            )
            for family in self.families
        }

    def value(self, name: str, **labels: str) -> float:
        return float(self.values[name, frozenset(labels.items())])


class Told(Collector):
    """Metrics that are there already, or the failure to read them."""

    def __init__(self, *found: GaugeMetricFamily, failure: Exception | None = None) -> None:
        self.found = found
        self.failure = failure

    def collect(self) -> Iterable[GaugeMetricFamily]:
        if self.failure is not None:
            raise self.failure
        return self.found


def firing(promtool: str, folder: Path, scrapes: Sequence[Scrape], minutes: int) -> set[str]:
    """The shipped alerts that fire at any time of these scrapes, which lie so many minutes apart."""
    alerts = [rule["alert"] for rule in yaml.safe_load(RULES.read_text())["groups"][0]["rules"]]
    step = f"{minutes}m"
    expectations = [
        {"eval_time": f"{minutes * number}m", "alertname": alert, "exp_alerts": []}
        for number in range(len(scrapes))
        for alert in alerts
    ]
    series = [
        {
            "series": f"{name}{{{','.join(f'{k}={json.dumps(v)}' for k, v in sorted(labels))}}}",
            "values": " ".join(
                repr(one.values.get((name, labels), "_")).strip("'") for one in scrapes
            ),
        }
        for name, labels in {key: None for one in scrapes for key in one.values}
    ]
    test: dict[str, Any] = {"interval": step, "input_series": series}
    test["alert_rule_test"] = expectations
    draft = folder / "played.yml"
    draft.write_text(
        json.dumps({"rule_files": [str(RULES)], "evaluation_interval": step, "tests": [test]})
    )
    done = subprocess.run(
        [promtool, "test", "rules", draft], capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    found = set(re.findall(r"alertname: ?(\w+)", said)) & set(alerts)
    assert bool(found) == bool(done.returncode), said[:4000]
    return found
