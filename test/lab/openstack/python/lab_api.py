"""The lab's services, as their administrator sees them."""

import sys
import time

from keystoneauth1 import adapter, session
from keystoneauth1.identity import v3

ADDRESS, PASSWORD_FILE = sys.argv[1:3]
KEYSTONE = f"http://{ADDRESS}:15000/v3"
PATIENCE = 300


def read_password():
    with open(PASSWORD_FILE, encoding="ascii") as file:
        return file.read().strip()


class Api:
    """One service."""

    def __init__(self, service_type, version="", microversion=None):
        login = v3.Password(
            KEYSTONE,
            username="admin",
            password=read_password(),
            project_name="admin",
            user_domain_id="default",
            project_domain_id="default",
        )
        self._version = version
        self._adapter = adapter.Adapter(
            session.Session(login, app_name="lab"),
            service_type=service_type,
            endpoint_override=KEYSTONE if service_type == "identity" else None,
            region_name=None if service_type == "identity" else "RegionOne",
            interface="public",
            default_microversion=microversion,
        )

    def get(self, path):
        return self._adapter.get(self._version + path).json()

    def put(self, path):
        self._adapter.put(self._version + path)

    def ensure(self, collection, kind, wanted, **more):
        """The resource that has what is wanted; made, with more, where none has."""
        for found in self.get(f"/{collection}")[f"{kind}s"]:
            if all(found.get(key) == value for key, value in wanted.items()):
                return found["id"]
        body = {kind: {**wanted, **more}}
        return self._adapter.post(f"{self._version}/{collection}", json=body).json()[kind]["id"]


def wait_until(what, is_so):
    end = time.monotonic() + PATIENCE
    while not is_so():
        if time.monotonic() > end:
            sys.exit(f"gave up waiting until {what}")
        time.sleep(0.5)
