"""What the catalog and the object store raise, as the platform's errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pyiceberg.exceptions import CommitFailedException, ForbiddenError, OAuthError, RESTError, UnauthorizedError
from requests import RequestException
from sqlalchemy.exc import SQLAlchemyError

from keystone_platform.errors import Terminal, Transient

_REFUSALS = ("ACCESS_DENIED", "HTTP status 403", "INVALID_ACCESS_KEY", "SIGNATURE", "NO_SUCH_BUCKET")
"""What pyarrow's S3 errors say when the server refuses; they have no type or code for it."""


@contextmanager
def translated(catalog: Mapping[str, str]) -> Iterator[None]:
    """Raise in the place of an error what it means for a client of this catalog; no secret gets into it.

    Args:
        catalog: its properties, as the settings have them.
    """
    try:
        yield
    except PermissionError as error:
        raise _refused(catalog) from error
    except (ForbiddenError, OAuthError, UnauthorizedError) as error:
        message = f"the catalog refuses access: {type(error).__name__}"
        mend = "Check what `catalog.token` or `catalog.credential` of the settings refer to, and its rights."
        raise Terminal(message, mend=mend) from error
    except SQLAlchemyError as error:
        message = f"the catalog's database does not answer: {type(error).__name__}"
        raise Transient(message, mend="See `catalog.uri` of the settings.") from error
    except (RESTError, RequestException) as error:
        message = f"the catalog does not answer: {type(error).__name__}"
        raise Transient(message, mend="See `catalog.uri` of the settings.") from error
    except CommitFailedException as error:
        message = "other writers kept changing the table"
        raise Transient(message, mend="Try again.") from error
    except FileNotFoundError as error:
        message = f"a file of the warehouse is missing: {error.filename or error}"
        raise Transient(message, mend="It may have been replaced meanwhile; try again.") from error
    except OSError as error:
        if any(sign in str(error) for sign in _REFUSALS):
            raise _refused(catalog) from error
        message = f"the object store at {_endpoint(catalog)} does not answer"
        raise Transient(message, mend="See `s3.endpoint` of the settings, and `keystone status`.") from error


def _endpoint(catalog: Mapping[str, str]) -> str:
    return catalog.get("s3.endpoint", catalog.get("warehouse", "its default"))


def _refused(catalog: Mapping[str, str]) -> Terminal:
    key = catalog.get("s3.access-key-id", "none")
    message = f"the warehouse's server refuses access (endpoint {_endpoint(catalog)}, access key id {key})"
    mend = "Check `s3.access-key-id`, `s3.secret-access-key`, and that the bucket exists and lets this key in."
    return Terminal(message, mend=mend)
