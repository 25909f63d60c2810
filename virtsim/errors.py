"""The error tree: every expected failure, with libvirt's code, domain and text.

Knows libvirt's error numbers and how libvirt words them. Knows nothing else of virtsim.

The classes are cut by what a caller can do about the failure::

    VirtsimError
    |-- UsageError            you asked for something that cannot be: change the call
    |   |-- InvalidArgument       VIR_ERR_INVALID_ARG
    |   |-- XMLError              VIR_ERR_XML_ERROR / VIR_ERR_XML_DETAIL; has ``line`` and ``column``
    |   |-- ConfigUnsupported     VIR_ERR_CONFIG_UNSUPPORTED
    |   `-- NotSupported          VIR_ERR_NO_SUPPORT / VIR_ERR_OPERATION_UNSUPPORTED
    |-- NotFound              the object is not (or no longer) there: look it up again
    |   `-- NoDomain              VIR_ERR_NO_DOMAIN
    |-- OperationError        refused or failed as things stand now: look at the state, try again
    |   |-- OperationInvalid      VIR_ERR_OPERATION_INVALID
    |   |-- OperationFailed       VIR_ERR_OPERATION_FAILED
    |   |-- OperationTimeout      VIR_ERR_OPERATION_TIMEOUT
    |   `-- OperationAborted      VIR_ERR_OPERATION_ABORTED
    |-- HostError             the host refused: VIR_ERR_SYSTEM_ERROR; has ``errno``
    `-- InternalError         QEMU misbehaved or died: VIR_ERR_INTERNAL_ERROR

``str(error)`` is the text that virsh would print after ``error: ``. The prefixes are those of libvirt 9.0.0
(``virErrorMsg``).
"""

from __future__ import annotations

import os
from typing import ClassVar

from virtsim._generated_codes import ErrorCode, ErrorDomain

__all__ = [
    "ConfigUnsupported",
    "ErrorCode",
    "ErrorDomain",
    "HostError",
    "InternalError",
    "InvalidArgument",
    "NoDomain",
    "NotFound",
    "NotSupported",
    "OperationAborted",
    "OperationError",
    "OperationFailed",
    "OperationInvalid",
    "OperationTimeout",
    "UsageError",
    "VirtsimError",
    "XMLError",
]

#: How libvirt 9.0.0 introduces each code's text; a code that is absent has no prefix.
PREFIXES: dict[ErrorCode, str] = {
    ErrorCode.VIR_ERR_INTERNAL_ERROR: "internal error: ",
    ErrorCode.VIR_ERR_NO_SUPPORT: "this function is not supported by the connection driver: ",
    ErrorCode.VIR_ERR_INVALID_ARG: "invalid argument: ",
    ErrorCode.VIR_ERR_OPERATION_FAILED: "operation failed: ",
    ErrorCode.VIR_ERR_XML_ERROR: "XML error: ",
    ErrorCode.VIR_ERR_NO_DOMAIN: "Domain not found: ",
    ErrorCode.VIR_ERR_OPERATION_INVALID: "Requested operation is not valid: ",
    ErrorCode.VIR_ERR_CONFIG_UNSUPPORTED: "unsupported configuration: ",
    ErrorCode.VIR_ERR_OVERFLOW: "numerical overflow: ",
    ErrorCode.VIR_ERR_OPERATION_TIMEOUT: "Timed out during operation: ",
    ErrorCode.VIR_ERR_OPERATION_ABORTED: "operation aborted: ",
    ErrorCode.VIR_ERR_OPERATION_UNSUPPORTED: "Operation not supported: ",
    ErrorCode.VIR_ERR_AGENT_UNRESPONSIVE: "Guest agent is not responding: ",
    ErrorCode.VIR_ERR_ARGUMENT_UNSUPPORTED: "argument unsupported: ",
}


class VirtsimError(Exception):
    """Root of every expected failure; carries what libvirt's ``virError`` carries.

    Attributes:
        code: libvirt's error number.
        domain: the part of libvirt that would have reported it.
        detail: the text without libvirt's prefix.
        slug: anchor of this error's paragraph in ``docs/reference/errors.md``.
    """

    default_code: ClassVar[ErrorCode] = ErrorCode.VIR_ERR_INTERNAL_ERROR
    default_domain: ClassVar[ErrorDomain] = ErrorDomain.VIR_FROM_QEMU
    slug: ClassVar[str] = "virtsim-error"

    def __init__(
        self, detail: str, *, code: ErrorCode | None = None, domain: ErrorDomain | None = None
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code if code is not None else self.default_code
        self.domain = domain if domain is not None else self.default_domain

    @property
    def text(self) -> str:
        """The whole message, with libvirt's prefix for the code."""
        return PREFIXES.get(self.code, "") + self.detail

    def __str__(self) -> str:
        return self.text


class UsageError(VirtsimError):
    """The call or the document asks for something that cannot be."""

    default_code = ErrorCode.VIR_ERR_INVALID_ARG
    slug = "usage-error"


class InvalidArgument(UsageError):
    """An argument or a combination of flags that no state would accept.

    Args:
        detail: the text without libvirt's prefix.
        bare: the whole message is ``detail``: libvirt's checks of flags and of arguments put no prefix before
            it (``virReportInvalidArg``; seen in libvirt 9.0.0).
    """

    slug = "invalid-argument"

    def __init__(self, detail: str, *, bare: bool = False) -> None:
        super().__init__(detail)
        self.bare = bare

    @property
    def text(self) -> str:
        """The whole message."""
        return self.detail if self.bare else super().text


class XMLError(UsageError):
    """A document that cannot be read, or whose content is wrong.

    Attributes:
        line: 1-based line of the offending element, or None when the place is not known.
        column: 1-based column, or None.
    """

    default_code = ErrorCode.VIR_ERR_XML_ERROR
    default_domain = ErrorDomain.VIR_FROM_DOMAIN
    slug = "xml-error"

    def __init__(
        self,
        detail: str,
        *,
        line: int | None = None,
        column: int | None = None,
        code: ErrorCode | None = None,
    ) -> None:
        super().__init__(detail, code=code)
        self.line = line
        self.column = column


class ConfigUnsupported(UsageError):
    """A correct document that this driver or this QEMU cannot carry out."""

    default_code = ErrorCode.VIR_ERR_CONFIG_UNSUPPORTED
    slug = "config-unsupported"


class NotSupported(UsageError):
    """A function or flag that virtsim does not have."""

    default_code = ErrorCode.VIR_ERR_OPERATION_UNSUPPORTED
    slug = "not-supported"


class NotFound(VirtsimError):
    """The object is not, or no longer, there."""

    slug = "not-found"


class NoDomain(NotFound):
    """No domain of that name, UUID or id."""

    default_code = ErrorCode.VIR_ERR_NO_DOMAIN
    slug = "no-domain"


class OperationError(VirtsimError):
    """Refused or failed as things stand now."""

    default_code = ErrorCode.VIR_ERR_OPERATION_FAILED
    slug = "operation-error"


class OperationInvalid(OperationError):
    """The domain's state forbids the operation."""

    default_code = ErrorCode.VIR_ERR_OPERATION_INVALID
    slug = "operation-invalid"


class OperationFailed(OperationError):
    """The operation was begun and did not succeed."""

    slug = "operation-failed"


class OperationTimeout(OperationError):
    """The operation, or the wait for the domain's job, took too long."""

    default_code = ErrorCode.VIR_ERR_OPERATION_TIMEOUT
    slug = "operation-timeout"


class OperationAborted(OperationError):
    """Somebody asked for the operation to end."""

    default_code = ErrorCode.VIR_ERR_OPERATION_ABORTED
    slug = "operation-aborted"


class HostError(VirtsimError):
    """A system call failed; the text ends in the system's own words for ``errno``."""

    default_code = ErrorCode.VIR_ERR_SYSTEM_ERROR
    slug = "host-error"

    def __init__(self, detail: str, errno: int) -> None:
        super().__init__(f"{detail}: {os.strerror(errno)}")
        self.errno = errno


class InternalError(VirtsimError):
    """QEMU, or another program outside, misbehaved or died."""

    slug = "internal-error"
