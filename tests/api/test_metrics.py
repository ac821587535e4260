# SPDX-License-Identifier: MIT
"""Metrics and health, as a scraper and an orchestrator see them."""
import unittest

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from case import ApiCase


class Metrics(ApiCase):
    @classmethod
    def prepare(cls):
        cls.make_vm("web")
        cls.make_vm("idle")
        cls.api.good("POST", "/v1/vms/web/start")

    def families(self):
        answer = self.client("metrics").get("/metrics")
        self.assertEqual(answer.status, 200)
        self.assertTrue(answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0"))
        return {family.name: family for family in text_string_to_metric_families(answer.body.decode())}

    def test_a_scraper_understands_them(self):
        families = self.families()
        for name, family in families.items():
            self.assertTrue(name.startswith("bulkhead_"), name)
            self.assertTrue(family.documentation, name)

    def test_every_vm_is_there_stopped_ones_too(self):
        families = self.families()
        names = {s.labels["name"] for s in families["bulkhead_vm"].samples}
        self.assertEqual(names, {"web", "idle"})
        states = {}
        for sample in families["bulkhead_vm_state"].samples:
            if sample.value == 1:
                states[sample.labels["uuid"]] = sample.labels
        self.assertEqual(len(states), 2)

    def test_requests_are_counted(self):
        self.api.get("/v1/vms/nothing-there")
        samples = self.families()["bulkhead_api_request_duration_seconds"].samples
        counts = {(s.labels["route"], s.labels["code"]): s.value for s in samples if s.name.endswith("_count")}
        self.assertGreaterEqual(counts[("/v1/vms/{vm}", "4xx")], 1)

    def test_certificates_and_events(self):
        families = self.families()
        self.assertIn("bulkhead_certificate_expiry_timestamp_seconds", families)
        self.assertIn("bulkhead_build", families)
        self.assertTrue(any("event" in name for name in families))

    def test_health(self):
        self.assertEqual(self.api.get("/livez").json, {"status": "ok"})
        checks = self.api.get("/readyz?verbose").json["checks"]
        self.assertIn("database", {check["name"] for check in checks})


if __name__ == "__main__":
    unittest.main()
