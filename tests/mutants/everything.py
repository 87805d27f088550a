"""All deliberate faults, of every part of the product."""

from __future__ import annotations

from mutants.agreement import AGREEMENT_FAULTS, CONVENTION_FAULTS
from mutants.bootstrap import BOOTSTRAP_FAULTS
from mutants.check import CHECK_FAULTS
from mutants.days import DAYS_FAULTS
from mutants.domains import DOMAINS_FAULTS
from mutants.faults import FAULTS as OTHER_FAULTS
from mutants.github import GITHUB_FAULTS
from mutants.gitlab import GITLAB_FAULTS
from mutants.guide import GUIDE_FAULTS
from mutants.kinds import KINDS_FAULTS
from mutants.lakehouse import LAKEHOUSE_FAULTS
from mutants.ledger import LEDGER_FAULTS
from mutants.observe import OBSERVE_FAULTS
from mutants.one_view import ONE_VIEW_FAULTS
from mutants.run import RUN_FAULTS
from mutants.settings import SETTINGS_FAULTS
from mutants.tables import TABLES_FAULTS
from mutants.terraform import TERRAFORM_FAULTS

FAULTS = [
    *OTHER_FAULTS,
    *LAKEHOUSE_FAULTS,
    *CHECK_FAULTS,
    *OBSERVE_FAULTS,
    *LEDGER_FAULTS,
    *GITHUB_FAULTS,
    *GITLAB_FAULTS,
    *GUIDE_FAULTS,
    *KINDS_FAULTS,
    *ONE_VIEW_FAULTS,
    *DAYS_FAULTS,
    *TABLES_FAULTS,
    *AGREEMENT_FAULTS,
    *CONVENTION_FAULTS,
    *RUN_FAULTS,
    *DOMAINS_FAULTS,
    *BOOTSTRAP_FAULTS,
    *SETTINGS_FAULTS,
    *TERRAFORM_FAULTS,
]
