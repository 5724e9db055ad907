"""What is this machine, what can it do, what is in the way of measuring: ``hmexp doctor``."""

from __future__ import annotations

from hmexp.machine.doctor.examination import diagnose, examine
from hmexp.machine.doctor.finding import Diagnosis, Finding, Group, Severity
from hmexp.machine.doctor.subject import Subject

__all__ = ["Diagnosis", "Finding", "Group", "Severity", "Subject", "diagnose", "examine"]
