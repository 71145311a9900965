"""How commands fail: by an exit code, a cause and the way out; never by a traceback."""

from __future__ import annotations

import errno
from enum import IntEnum

from botocore.exceptions import (
    BaseEndpointResolverError,
    BotoCoreError,
    ClientError,
    ConfigNotFound,
    ConfigParseError,
    CredentialRetrievalError,
    EndpointProviderError,
    InvalidEndpointConfigurationError,
    InvalidProxiesConfigError,
    InvalidRetryConfigurationError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
    ValidationError,
)

from batchwatch.errors import AccessError, BatchwatchError, OpenAIError, UnsafeIdError


class Code(IntEnum):
    """Exit codes.

    WELL         all is well
    BAD_NEWS     the answer is a bad one: a batch did not complete, something is out of order
    USAGE        the command line is wrong
    NOT_FOUND    no such stack, batch, job or file
    DENIED       no credentials, or no right
    LATER        throttled, or not to be reached: try again
    INTERRUPTED  Ctrl-C
    """

    WELL = 0
    BAD_NEWS = 1
    USAGE = 2
    NOT_FOUND = 3
    DENIED = 4
    LATER = 5
    INTERRUPTED = 130


class CommandError(BatchwatchError):
    """Raised when a command cannot do what it is asked; `way_out`: what to do about it."""

    def __init__(self, code: Code, cause: str, way_out: str = "") -> None:
        super().__init__(cause)
        self.code = code
        self.way_out = way_out


_SIGN_IN = "sign in (aws sso login), or choose another profile by --profile or AWS_PROFILE"
_NO_CREDENTIALS = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)
_UNUSABLE = (
    BaseEndpointResolverError,
    ConfigNotFound,
    ConfigParseError,
    EndpointProviderError,
    InvalidEndpointConfigurationError,
    InvalidProxiesConfigError,
    InvalidRetryConfigurationError,
    ParamValidationError,
    ValidationError,
)
_EXPIRED = {
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_DENIED = {
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "AuthorizationErrorException",
    "KMSAccessDeniedException",
    "KMS.AccessDeniedException",
    "UnauthorizedOperation",
    "AWS.SimpleQueueService.AccessDenied",
}
_THROTTLED = {
    "InternalError",
    "InternalServerError",
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "ServiceUnavailable",
    "SlowDown",
    "Throttled",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}
_OVERLOADED = 500
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


def is_denied(error: BaseException) -> bool:
    """Whether AWS says that the caller has no right to it."""
    return isinstance(error, ClientError) and _code(error) in _DENIED


def trouble_of(error: BaseException) -> CommandError | None:  # noqa: PLR0911 - one each
    """Say what an error means to the person who typed the command; None: a defect of ours."""
    match error:
        case KeyboardInterrupt():
            return CommandError(Code.INTERRUPTED, "stopped")
        case ClientError():
            return _refused(error)
        case BotoCoreError():
            return _unasked(error)
        case BatchwatchError():
            return _of_ours(error)
        case OSError():
            return _of_the_system(error)
        case ValueError() if str(error).startswith("Invalid endpoint"):  # as boto3 puts it
            return _unusable(error)
    return None


def _of_the_system(error: OSError) -> CommandError | None:
    """Say which file it is, or that stdout takes no more; a reader that went away is no trouble."""
    if error.filename:
        return CommandError(Code.BAD_NEWS, f"{error.filename}: {error.strerror}")
    if error.errno in _FULL:
        return CommandError(Code.BAD_NEWS, f"the answer cannot be written: {error.strerror}")
    return None


def _of_ours(error: BatchwatchError) -> CommandError:
    if isinstance(error, CommandError):
        return error
    if isinstance(error, AccessError):
        return CommandError(
            Code.DENIED, str(error), "mend the key in the secret, as README.md tells"
        )
    if isinstance(error, OpenAIError) and error.passing:
        return CommandError(Code.LATER, str(error), "try again in a minute")
    usage = isinstance(error, UnsafeIdError)
    return CommandError(Code.USAGE if usage else Code.BAD_NEWS, str(error))


def _unusable(error: Exception) -> CommandError:
    way_out = "look at --region, AWS_ENDPOINT_URL, and AWS's own configuration: aws configure list"
    return CommandError(Code.USAGE, f"AWS cannot be asked like this: {error}", way_out)


def _unasked(error: Exception) -> CommandError:
    """AWS was not asked, or has not answered."""
    if isinstance(error, NoRegionError):
        way_out = "give --region, or set AWS_REGION"
        return CommandError(Code.USAGE, "no AWS region is set", way_out)
    if isinstance(error, _NO_CREDENTIALS):
        return CommandError(Code.DENIED, f"no AWS credentials: {error}", _SIGN_IN)
    if isinstance(error, _UNUSABLE):
        return _unusable(error)
    return CommandError(
        Code.LATER, f"AWS cannot be reached: {error}", "look at the network; try again"
    )


def _refused(error: ClientError) -> CommandError:
    code, operation = _code(error), error.operation_name
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _EXPIRED:
        return CommandError(
            Code.DENIED, f"AWS does not accept these credentials ({code})", _SIGN_IN
        )
    if code in _DENIED:
        cause = f"AWS does not allow you {operation}: {_message(error)}"
        return CommandError(
            Code.DENIED, cause, "ask for the stack's policy of readers or operators: docs/cli.md"
        )
    if code in _THROTTLED or status >= _OVERLOADED:
        cause = f"AWS has too much to do for {operation} ({code})"
        return CommandError(Code.LATER, cause, "try again in a minute")
    return CommandError(Code.BAD_NEWS, f"AWS refused {operation}: {code}: {_message(error)}")


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")


def _message(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Message", "")
