"""Waits for the services of the lab, and makes what tests find in them."""

import sys

from lab_api import Api, wait_until

BACKENDS = sys.argv[3:]
CONSISTENT = {"consistent_group_snapshot_enabled": "<is> True"}

volumes = Api("block-storage", microversion="3.70")


def are_volumes_ready():
    pools = volumes.get("/scheduler-stats/get_pools")["pools"]
    running = {service["binary"] for service in volumes.get("/os-services")["services"] if service["state"] == "up"}
    return {"cinder-volume", "cinder-backup", "cinder-scheduler"} <= running and len(pools) >= len(BACKENDS)


wait_until("Cinder has its backends", are_volumes_ready)
# Volumes of the last type find no place, and end in an error.
for backend in (*BACKENDS, "nowhere"):
    specs = {"volume_backend_name": backend, **(CONSISTENT if backend == "file" else {})}
    volumes.ensure("types", "volume_type", {"name": backend}, extra_specs=specs)
volumes.ensure("group_types", "group_type", {"name": "consistent"}, is_public=True, group_specs=CONSISTENT)

networks = Api("network", version="/v2.0")
public = networks.ensure("networks", "network", {"name": "public", "router:external": True})
networks.ensure("subnets", "subnet", {"network_id": public}, cidr="198.51.100.0/24", ip_version=4, enable_dhcp=False)

compute = Api("compute", microversion="2.93")
for name, memory, cpus in (("small", 128, 1), ("large", 512, 2)):
    compute.ensure("flavors", "flavor", {"name": name}, ram=memory, vcpus=cpus, disk=1)
wait_until("Nova has its host", lambda: compute.get("/os-hypervisors")["hypervisors"])
