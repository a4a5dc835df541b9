"""Weaknesses of an attribute network and of its data: one detector per file, each finding with its evidence."""

from sightline.attributes.audit.findings import Finding, Verdict
from sightline.attributes.audit.observed import Observations, Redrawn
from sightline.attributes.audit.run import DETECTORS, Audit, audit

__all__ = ["DETECTORS", "Audit", "Finding", "Observations", "Redrawn", "Verdict", "audit"]
