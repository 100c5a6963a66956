"""Makes the accounts of the lab and the catalog of its services."""

from lab_api import ADDRESS, Api, read_password

HOST = f"http://{ADDRESS}"
CATALOG = (
    ("block-storage", "cinder", f"{HOST}:18776/v3/%(project_id)s"),
    ("compute", "nova", f"{HOST}:18774/v2.1"),
    ("image", "glance", f"{HOST}:19292"),
    ("network", "neutron", f"{HOST}:19696"),
    ("object-store", "swift", f"{HOST}:18080/v1/AUTH_%(project_id)s"),
    ("placement", "placement", f"{HOST}:18778"),
)

identity = Api("identity")
identity.ensure("regions", "region", {"id": "RegionTwo"})
for service_type, name, url in CATALOG:
    service = identity.ensure("services", "service", {"type": service_type, "name": name})
    # The second region has little, so that a client can be told so.
    for region in ("RegionOne", "RegionTwo") if name == "cinder" else ("RegionOne",):
        where = {"service_id": service, "region_id": region, "interface": "public"}
        identity.ensure("endpoints", "endpoint", where, url=url)

for name, roles in (
    ("lab-services", ("admin", "service")),
    ("site-a", ("member",)),
    ("site-b", ("member",)),
):
    project = identity.ensure("projects", "project", {"name": name})
    user = identity.ensure("users", "user", {"name": name}, password=read_password())
    for role in roles:
        granted = identity.ensure("roles", "role", {"name": role})
        identity.put(f"/projects/{project}/users/{user}/roles/{granted}")
