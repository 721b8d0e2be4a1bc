"""The conformance kit: checks of the plugin contract, for the tests of plugin authors.

It is not a pytest plugin; test modules import from it.

Example:
    >>> from ddmi_core.testing import DomainContract
    >>> class TestMine(DomainContract):
    ...     domain = "mine"  # doctest: +SKIP
"""

from typing import TYPE_CHECKING

from ddmi_core._lazy import lazy_exports

if TYPE_CHECKING:
    from ddmi_core.testing.check import Check as Check
    from ddmi_core.testing.check import ContractBroken as ContractBroken
    from ddmi_core.testing.check import NotApplicable as NotApplicable
    from ddmi_core.testing.check import TimeLimit as TimeLimit
    from ddmi_core.testing.check import expect as expect
    from ddmi_core.testing.check_list import CHECKS as CHECKS
    from ddmi_core.testing.check_list import check_named as check_named
    from ddmi_core.testing.expected import expected_failures as expected_failures
    from ddmi_core.testing.in_pytest import DomainContract as DomainContract
    from ddmi_core.testing.in_pytest import checks as checks
    from ddmi_core.testing.outcomes import Outcome as Outcome
    from ddmi_core.testing.outcomes import Outcomes as Outcomes
    from ddmi_core.testing.outcomes import examine as examine
    from ddmi_core.testing.subject import Subject as Subject

__getattr__, __dir__, __all__ = lazy_exports(__name__)
