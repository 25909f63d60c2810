"""The error tree: codes, prefixes and texts as libvirt 9.0.0 words them."""

from __future__ import annotations

import errno

import pytest

from virtsim import errors
from virtsim.errors import ErrorCode


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (errors.InternalError("boom"), 1, "internal error: boom"),
        (errors.InvalidArgument("boom"), 8, "invalid argument: boom"),
        (errors.OperationFailed("domain is not running"), 9, "operation failed: domain is not running"),
        (errors.XMLError("boom", line=3), 27, "XML error: boom"),
        (errors.HostError("failed", errno.ENOENT), 38, "failed: No such file or directory"),
        (errors.NoDomain("boom"), 42, "Domain not found: boom"),
        (errors.OperationInvalid("boom"), 55, "Requested operation is not valid: boom"),
        (errors.ConfigUnsupported("boom"), 67, "unsupported configuration: boom"),
        (errors.OperationTimeout("boom"), 68, "Timed out during operation: boom"),
        (errors.OperationAborted("boom"), 78, "operation aborted: boom"),
        (errors.NotSupported("boom"), 84, "Operation not supported: boom"),
    ],
)
def test_code_and_text_are_libvirts(error: errors.VirtsimError, code: int, text: str) -> None:
    assert (int(error.code), str(error)) == (code, text)


def test_a_class_can_carry_a_narrower_code() -> None:
    error = errors.XMLError("no root", line=1, column=2, code=ErrorCode.VIR_ERR_XML_DETAIL)

    assert (int(error.code), str(error), error.line, error.column) == (35, "no root", 1, 2)


def test_a_host_error_keeps_its_errno() -> None:
    assert errors.HostError("failed to connect", errno.EACCES).errno == errno.EACCES


@pytest.mark.parametrize(
    ("error", "parent"),
    [
        (errors.XMLError, errors.UsageError),
        (errors.NoDomain, errors.NotFound),
        (errors.OperationTimeout, errors.OperationError),
        (errors.HostError, errors.VirtsimError),
    ],
)
def test_the_tree_is_cut_by_what_a_caller_can_do(error: type, parent: type) -> None:
    assert issubclass(error, parent)
