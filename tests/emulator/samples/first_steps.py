"""The first steps of an application: what the vendor's Python sample sends, its bodies as forms (``data=``).

Arguments: base URL and API key. Prints the answers as JSON.
"""

import json
import sys

import requests

base_url, api_key = sys.argv[1:]
as_application = {"api_key": api_key}

user = requests.post(f"{base_url}/users", headers=as_application, data={"username": "sample-user"}, timeout=30).json()
token = requests.post(
    f"{base_url}/users/{user['user_id']}/tokens",
    headers=as_application,
    data={"scope": "manage", "ttl": "24h"},
    timeout=30,
).json()
folder = requests.post(f"{base_url}/folders", headers=as_application, data={"name": "sample-folder"}, timeout=30).json()
granted = requests.put(
    f"{base_url}/folders/{folder['folder_id']}/access/users/{user['user_id']}",
    headers=as_application,
    data={"access": "write"},
    timeout=30,
)

as_user = {"user_token": token["user_token"]}
model = b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"
upload = requests.post(
    f"{base_url}/folders/{folder['folder_id']}/source-files",
    headers=as_user,
    files={"file": ("triangle.obj", model)},
    timeout=30,
).json()
tasks = requests.get(f"{base_url}/users/{user['user_id']}/upload-tasks", headers=as_user, timeout=30).json()

answers = {"user": user, "token": token, "folder": folder, "granted": granted.status_code}
json.dump({**answers, "upload": upload, "tasks": tasks}, sys.stdout)
