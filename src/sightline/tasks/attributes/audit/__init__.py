"""Weaknesses of an attribute network and of its data: one detector per file, each finding with its evidence."""

from sightline.tasks.attributes.audit.findings import Finding, Verdict
from sightline.tasks.attributes.audit.observed import Observations, Redrawn
from sightline.tasks.attributes.audit.run import DETECTORS, Audit, audit

__all__ = ["DETECTORS", "Audit", "Finding", "Observations", "Redrawn", "Verdict", "audit"]
