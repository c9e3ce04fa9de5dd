"""What a broken network means, in words that a person understands."""

import errno
import socket
import ssl
from collections.abc import Iterator

import httpx

from watcher.api.errors import Cause, Unreachable

_NO_ROUTE = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.EADDRNOTAVAIL})


def unreachable(operation: str, error: httpx.TransportError, host: str, timeout: float) -> Unreachable:
    """The error to raise for what httpx raised.

    host: host and port that were asked; timeout: seconds.
    """
    cause, message = _explain(error, host, timeout)
    return Unreachable(operation, message, cause=cause)


def _explain(error: httpx.TransportError, host: str, timeout: float) -> tuple[Cause, str]:  # noqa: PLR0911  one for each
    match error:
        case httpx.ConnectTimeout():
            return Cause.CONNECT_TIMEOUT, f"{host} did not accept a connection within {timeout:g} s"
        case httpx.PoolTimeout():
            return (
                Cause.POOL_TIMEOUT,
                f"all connections to {host} were in use for {timeout:g} s; a larger pool_size helps",
            )
        case httpx.WriteTimeout():
            return Cause.TIMEOUT, f"{host} took no data for {timeout:g} s"
        case httpx.TimeoutException():
            return Cause.TIMEOUT, f"{host} did not answer within {timeout:g} s"
        case httpx.ProxyError():
            return Cause.OTHER, f"the proxy refused: {error}"
        case httpx.UnsupportedProtocol():
            return Cause.OTHER, f"no http or https address: {error}"
        case httpx.ConnectError():
            return _no_connection(error, host)
        case httpx.RemoteProtocolError() if "without sending a response" in str(error):
            return Cause.CLOSED, f"{host} closed the connection without an answer"
        case httpx.RemoteProtocolError() if "incomplete" in str(error) or "without sending complete" in str(error):
            return Cause.CLOSED, f"{host} closed the connection in the middle of its answer"
        case httpx.RemoteProtocolError():
            return Cause.OTHER, f"{host} does not speak HTTP as it should: {error}"
        case _:
            return Cause.CLOSED, f"the connection to {host} broke ({_root(error)})"


def _no_connection(error: httpx.ConnectError, host: str) -> tuple[Cause, str]:
    for reason in _reasons(error):
        match reason:
            case ssl.SSLCertVerificationError():
                return Cause.CERTIFICATE, _distrust(reason, host)
            case ssl.SSLError():
                return Cause.TLS, f"no secure connection to {host} ({reason.reason or reason}); is it https at all?"
            case socket.gaierror():
                return Cause.NAME, f"the name {host} has no address ({reason.strerror})"
            case ConnectionRefusedError():
                return Cause.REFUSED, f"{host} refused the connection; is it running?"
            case OSError() if reason.errno in _NO_ROUTE:
                return Cause.NO_ROUTE, f"there is no way to {host} ({reason.strerror})"
            case _:
                pass
    return Cause.OTHER, f"no connection to {host} ({_root(error)})"


def _distrust(error: ssl.SSLCertVerificationError, host: str) -> str:
    """Why a certificate is not accepted, and what helps."""
    match error.verify_code:
        case 10:  # X509_V_ERR_CERT_HAS_EXPIRED
            return f"the certificate of {host} has expired: it is to be renewed there, or the clock here is wrong"
        case 9:  # X509_V_ERR_CERT_NOT_YET_VALID
            return f"the certificate of {host} is not valid yet: the clock here, or there, is wrong"
        case 62 | 64:  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
            return f"the certificate of {host} is for another name ({error.verify_message}); is base_url right?"
        case _:
            return (
                f"the certificate of {host} is not trusted ({error.verify_message}); if its authority is your own, name"
                " the file of the authority's certificate in the environment variable SSL_CERT_FILE"
            )


def _reasons(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it, outermost first."""
    reason: BaseException | None = error
    while reason is not None:
        yield reason
        reason = reason.__cause__ or reason.__context__


def _root(error: BaseException) -> str:
    *_, root = _reasons(error)
    return str(root) or type(root).__name__
