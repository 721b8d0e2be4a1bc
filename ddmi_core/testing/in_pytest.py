"""The checks as pytest tests: one parameter per check, or a base class with one test per check."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import pytest

from ddmi_core.api.domain import Domain
from ddmi_core.testing.check import Check
from ddmi_core.testing.check_list import CHECKS, check_named
from ddmi_core.testing.subject import Subject


def checks(expected_failures: Mapping[str, str] | None = None) -> list[Any]:
    """All checks as parameters for `pytest.mark.parametrize`.

    Args:
        expected_failures: reasons for expected failures by the name of the check; these tests must fail.

    Raises:
        RequestError: if there is no such check.

    Example:
        >>> import pytest
        >>> from ddmi_core.testing import Subject, checks
        >>> @pytest.fixture(scope="module")
        ... def mine():
        ...     with Subject("mine") as subject:
        ...         yield subject
        >>> @pytest.mark.parametrize("check", checks(expected_failures={"exporters_repeat": "files hold the time"}))
        ... def test_contract(check, mine):
        ...     check(mine)
    """
    reasons = {check_named(name).name: reason for name, reason in (expected_failures or {}).items()}
    return [
        pytest.param(
            check,
            id=check.name,
            marks=[pytest.mark.xfail(reason=reasons[check.name], strict=True)] if check.name in reasons else [],
        )
        for check in CHECKS
    ]


class DomainContract:
    """Base class of tests with one test per check of the contract.

    Attributes:
        domain: name of an installed plugin, or a `Domain`.
        data: data as for `ddmi run --data`; the domain's default if empty.
        settings: changes as for `ddmi run --set`.
        expected_failures: reasons for expected failures by the name of the check; these tests must fail.

    Example:
        >>> from ddmi_core.testing import DomainContract
        >>> class TestMine(DomainContract):
        ...     domain = "mine"
        ...     expected_failures = {"exporters_repeat": "files hold the time"}
        >>> TestMine.test_encoder.__doc__.split(",")[0]
        'The encoder gives one float32 latent a plane of the layout'
    """

    domain: ClassVar[str | Domain]
    data: ClassVar[str] = ""
    settings: ClassVar[Sequence[str]] = ()
    expected_failures: ClassVar[Mapping[str, str]] = {}
    _subject: ClassVar[Subject | None] = None

    @classmethod
    def subject(cls) -> Subject:
        """The subject of this class's tests, created once."""
        if "_subject" not in cls.__dict__ or cls._subject is None:
            cls._subject = Subject(cls.domain, data=cls.data, settings=cls.settings)
        return cls._subject

    @classmethod
    def teardown_class(cls) -> None:
        """Remove the scratch folder."""
        if cls._subject is not None:
            cls._subject.close()
            cls._subject = None

    def __init_subclass__(cls, **options: Any) -> None:
        """Mark the tests that are expected to fail."""
        super().__init_subclass__(**options)
        for name, reason in cls.expected_failures.items():
            check = check_named(name)
            marked = pytest.mark.xfail(reason=reason, strict=True)(_test(check))
            setattr(cls, marked.__name__, marked)


def _test(check: Check) -> Callable[[DomainContract], None]:
    def test(self: DomainContract) -> None:
        check(self.subject())

    test.__name__, test.__doc__ = f"test_{check.name}", check.contract
    test.__qualname__ = f"DomainContract.{test.__name__}"
    return test


for _check in CHECKS:
    setattr(DomainContract, f"test_{_check.name}", _test(_check))
