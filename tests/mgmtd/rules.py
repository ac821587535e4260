# SPDX-License-Identifier: MIT
"""The rules and the dashboard against a real Prometheus that scrapes a daemon.

usage: rules.py BUILD
"""
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request

from daemon import run

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RULES = os.path.join(TOP, "packaging", "dashboards", "bulkhead-rules.yml")
DASHBOARD = os.path.join(TOP, "packaging", "dashboards", "bulkhead-grafana.json")

CONFIG = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [{rules}]
scrape_configs:
  - job_name: bulkhead
    scheme: https
    authorization: {{credentials_file: {token}}}
    tls_config: {{ca_file: {authority}}}
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Prometheus:
    def __init__(self, daemon, token):
        self.port = free_port()
        files = {"token": token, "rules.yml": self.impatient(open(RULES).read())}
        for name, text in files.items():
            with open(daemon.path(name), "w") as file:
                file.write(text)
        with open(daemon.path("prometheus.yml"), "w") as file:
            file.write(CONFIG.format(rules=daemon.path("rules.yml"), token=daemon.path("token"),
                                     authority=daemon.path("etc", "ca.crt"), port=daemon.port()))
        self.log = open(daemon.path("prometheus.log"), "wb")
        self.process = subprocess.Popen(
            ["prometheus", "--config.file", daemon.path("prometheus.yml"), "--storage.tsdb.path",
             daemon.path("tsdb"), "--web.listen-address", f"127.0.0.1:{self.port}"],
            stdout=self.log, stderr=self.log)

    @staticmethod
    def impatient(rules):
        """The rules with waiting times of seconds, so that the test need not wait for minutes."""
        return re.sub(r"for: \d+m", "for: 1s", rules)

    def ask(self, path, **query):
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{query}: {error.read().decode()}") from error

    def wait(self, what, seconds=60):
        end = time.monotonic() + seconds
        while True:
            try:
                found = what()
                if found:
                    return found
            except (OSError, ConnectionError):
                pass
            assert time.monotonic() < end, what.__name__
            time.sleep(0.3)

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=30)
        self.log.close()


def questions():
    """Every expression of the dashboard, with its variables filled in."""
    dashboard = json.load(open(DASHBOARD))
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], (target["expr"].replace("$__rate_interval", "30s")
                                   .replace("$instance", ".*"))


def check_rules(prometheus):
    def loaded():
        groups = prometheus.ask("rules")["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        return rules if rules and all(rule["health"] == "ok" for rule in rules) else None

    rules = prometheus.wait(loaded)
    alerts = {rule["name"] for rule in rules if rule["type"] == "alerting"}
    assert len(alerts) >= 12, alerts
    for rule in rules:
        if rule["type"] == "alerting":
            assert {"summary", "description"} <= set(rule["annotations"]), rule["name"]

    def firing():
        found = {alert["labels"]["alertname"]: alert for alert in prometheus.ask("alerts")["alerts"]
                 if alert["state"] == "firing"}
        return found if {"BulkheadVmCrashed", "BulkheadVmNotAsWanted"} <= set(found) else None

    found = prometheus.wait(firing)
    unexpected = set(found) - {"BulkheadVmCrashed", "BulkheadVmNotAsWanted", "BulkheadStorageLow",
                               "BulkheadMemoryLow", "BulkheadVmWaits", "BulkheadCommitsSlow"}
    assert not unexpected, unexpected
    assert prometheus.ask("query", query="bulkhead:vms:count")["result"], "nothing is recorded"


def families(daemon):
    """Names that the daemon declares; a VM without a NIC has no sample of some."""
    text = daemon.good("GET", "/metrics").decode()
    return set(re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE))


def check_dashboard(prometheus, declared):
    empty = []
    for title, expression in questions():
        for name in set(re.findall(r"\bbulkhead_[a-z_]+", expression)):
            family = re.sub(r"_(total|bucket|sum|count|info)$", "", name)
            assert name in declared or family in declared, (title, name)
        if not prometheus.ask("query", query=expression)["result"]:
            empty.append(title)
    # Nobody restarted, no VM has a NIC: only these may have nothing to show.
    assert set(empty) <= {"Restarts by policy", "Network to guests, top 10",
                          "Network from guests, top 10", "Dropped packets", "Operation time"}, empty


def test(daemon):
    daemon.start()
    daemon.make_kernel()
    token = daemon.good("POST", "/v1/tokens", {"name": "prometheus", "role": "metrics"})["secret"]
    daemon.good("POST", "/v1/disks?wait=30", {"name": "d", "size": 1048576})
    for name, words, disks in (("runs", "", {"root": {"disk": "d"}}), ("crashes", "sim.crash=10", {})):
        daemon.good("POST", "/v1/vms", {"name": name, "memory": {"size": 67108864}, "disks": disks,
                                        "boot": {"kernel": "k", "cmdline": words}})
        daemon.good("POST", f"/v1/vms/{name}/start?wait=30")
    prometheus = Prometheus(daemon, token)
    try:
        prometheus.wait(lambda: [target for target in prometheus.ask("targets")["activeTargets"]
                                 if target["health"] == "up"])
        time.sleep(8)  # rates need some scrapes
        check_rules(prometheus)
        check_dashboard(prometheus, families(daemon))
    except BaseException:
        print(open(daemon.path("prometheus.log"), errors="replace").read()[-2000:], file=sys.stderr)
        print(prometheus.ask("targets"), file=sys.stderr)
        raise
    finally:
        prometheus.stop()


if not shutil.which("prometheus"):
    print("needs Debian's package prometheus")
    sys.exit(77)
subprocess.run(["promtool", "check", "rules", RULES], check=True, stdout=subprocess.DEVNULL)
run(test)
