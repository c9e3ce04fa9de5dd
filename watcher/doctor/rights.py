"""What we may do in the remote folders that the drops are mapped to. Only asks; creates, grants and changes nothing."""

from watcher.access import may_write, no_write_access
from watcher.api import ApiError, AssetApi, Forbidden, NotFound, Unreachable
from watcher.api.models import Access
from watcher.config import ApiSettings, Auth
from watcher.doctor.finding import Finding, failure, ok, warning
from watcher.identity import GRANTED, USER, find_user
from watcher.ledger.health import Health
from watcher.model import Drop
from watcher.remote import find_folder, is_id

_WRITERS = frozenset({Access.WRITE, Access.MANAGE})
_CHECK = "remote folder"


def check_own_user(settings: ApiSettings, health: Health | None, api: AssetApi) -> tuple[str | None, Finding]:
    """The id of the daemon's own user, if there is one yet. Raises Unreachable."""
    name = settings.own_user
    known = health.meta.get(USER) if health is not None else None
    try:
        user_id = _still_there(api, known) or find_user(api, name)
    except Unreachable:
        raise
    except ApiError as error:
        return None, failure(
            "user", f"the server does not tell of users: {error}", "use an API key that may set up users"
        )
    if user_id is None:
        return None, ok("user", f"{name} is not there yet; the first start registers it")
    return user_id, ok("user", f"the daemon works as {name} ({user_id})")


def _still_there(api: AssetApi, user_id: str | None) -> str | None:
    if user_id is None:
        return None
    try:
        return api.users.get(user_id).user_id
    except NotFound:
        return None


def check_rights(
    settings: ApiSettings, drop: Drop, health: Health | None, api: AssetApi, user_id: str | None
) -> Finding:
    """Whether the drop's remote folder can be listed and written to in the daemon's name. Raises Unreachable."""
    try:
        folder_id = _known(drop, health, api) or find_folder(api, drop.folder)
        if folder_id is None:
            return _missing(settings, drop)
        if settings.auth is Auth.USER:
            return _rights_of_user(settings, drop, health, api, folder_id, user_id)
        api.folders.source_files_page(folder_id, limit=1)
        if not may_write(api, folder_id):
            return _no_access(settings, drop)
    except Unreachable:
        raise
    except Forbidden as error:
        return failure(
            _CHECK, f"{settings.acts_as} may not look into {drop.folder}: {error.message}", "have it granted"
        )
    except ApiError as error:
        return failure(_CHECK, f"{drop.folder}: {error}", "try again; if it stays so, ask the server's owner")
    return ok(_CHECK, f"{drop.folder} can be listed and written to")


def _known(drop: Drop, health: Health | None, api: AssetApi) -> str | None:
    """The folder that the daemon uses, if it is still there."""
    folder_id = health.remote_folders.get(drop.folder) if health is not None else None
    if folder_id is not None:
        try:
            return api.folders.get(folder_id).folder_id
        except NotFound:
            pass
    return None


def _missing(settings: ApiSettings, drop: Drop) -> Finding:
    if is_id(drop.folder):
        return failure(_CHECK, f"the server has no folder with the id {drop.folder}", "mend the folder of the drop")
    if settings.acts_as == "the user token":
        return warning(
            _CHECK,
            f"{drop.folder} is not there, or hidden from the user token; the first upload would make one of that name",
            "name the folder by its id, if it is there",
        )
    return ok(_CHECK, f"{drop.folder} is not there yet; the first upload makes it")


def _rights_of_user(
    settings: ApiSettings, drop: Drop, health: Health | None, api: AssetApi, folder_id: str, user_id: str | None
) -> Finding:
    """By the lists of grants: a token of the user's own would be one more thing on the server."""
    if user_id is not None and _granted(api, folder_id, user_id):
        return ok(_CHECK, f"{drop.folder} is open for writing to {settings.own_user}")
    if user_id is None or health is None or health.meta.get(GRANTED + folder_id) != user_id:
        return ok(_CHECK, f"{drop.folder} is there; the first upload grants {settings.own_user} write on it")
    return _no_access(settings, drop)


def _granted(api: AssetApi, folder_id: str, user_id: str) -> bool:
    """Whether a user, or a group that it is in, may write to a folder or to one above it."""
    groups = {group.group_id for group in api.users.groups(user_id)}
    at: str | None = folder_id
    while at is not None:
        accesses = api.folders.accesses(at)
        members = [(each.user_id == user_id, each.access) for each in accesses.users]
        members += [(each.group_id in groups, each.access) for each in accesses.groups]
        if any(ours and access in _WRITERS for ours, access in members):
            return True
        at = api.folders.get(at).parent_folder_id
    return False


def _no_access(settings: ApiSettings, drop: Drop) -> Finding:
    user = settings.own_user if settings.auth is Auth.USER else None
    sentence, _, advice = no_write_access(settings.acts_as, drop.folder, user).partition(": ")
    return failure(_CHECK, sentence, advice)
