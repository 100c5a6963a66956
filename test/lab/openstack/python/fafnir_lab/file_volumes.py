"""A backend of Cinder whose volumes are sparse files and whose snapshots are clones of them.

It has what tests need of an array and no more. Members of a group are cloned one after the other.
"""

import os

from cinder import interface
from cinder.image import image_utils
from cinder.objects import fields
from cinder.volume import configuration, driver, volume_utils
from oslo_concurrency import processutils
from oslo_config import cfg
from oslo_utils import units

OPTIONS = [cfg.StrOpt("folder", help="Where the files are, on a file system that clones files.")]
cfg.CONF.register_opts(OPTIONS, group=configuration.SHARED_CONF_GROUP)


@interface.volumedriver
class FileVolumes(driver.VolumeDriver):
    VERSION = "1"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.configuration.append_config_values(OPTIONS)

    def _path(self, of):
        return os.path.join(self.configuration.folder, of.name)

    def _clone(self, source, target, gibibytes):
        # A file that has its name is complete.
        part = f"{target}.part"
        processutils.execute("cp", "--reflink=always", source, part)
        os.truncate(part, gibibytes * units.Gi)
        os.rename(part, target)

    def _remove(self, of):
        try:
            os.remove(self._path(of))
        except FileNotFoundError:
            pass

    def local_path(self, volume):
        return self._path(volume)

    def check_for_setup_error(self):
        os.listdir(self.configuration.folder)

    # Volumes

    def create_volume(self, volume):
        with open(self._path(volume), "wb") as file:
            file.truncate(volume.size * units.Gi)

    def delete_volume(self, volume):
        self._remove(volume)

    def extend_volume(self, volume, new_size):
        os.truncate(self._path(volume), new_size * units.Gi)

    def create_cloned_volume(self, volume, src_vref):
        self._clone(self._path(src_vref), self._path(volume), volume.size)

    # Snapshots

    def create_snapshot(self, snapshot):
        self._clone(self._path(snapshot.volume), self._path(snapshot), snapshot.volume_size)

    def delete_snapshot(self, snapshot):
        self._remove(snapshot)

    def create_volume_from_snapshot(self, volume, snapshot):
        self._clone(self._path(snapshot), self._path(volume), volume.size)

    def revert_to_snapshot(self, context, volume, snapshot):
        self._clone(self._path(snapshot), self._path(volume), volume.size)

    # Connections, which are paths on this host

    def ensure_export(self, context, volume):
        pass

    def create_export(self, context, volume, connector):
        pass

    def remove_export(self, context, volume):
        pass

    def initialize_connection(self, volume, connector):
        return {"driver_volume_type": "local", "data": {"device_path": self._path(volume)}}

    def terminate_connection(self, volume, connector, **kwargs):
        pass

    def create_export_snapshot(self, context, snapshot, connector):
        pass

    def remove_export_snapshot(self, context, snapshot):
        pass

    def initialize_connection_snapshot(self, snapshot, connector, **kwargs):
        return {"driver_volume_type": "local", "data": {"device_path": self._path(snapshot)}}

    def terminate_connection_snapshot(self, snapshot, connector, **kwargs):
        pass

    # Images

    def copy_image_to_volume(self, context, volume, image_service, image_id, disable_sparse=False):
        block_size = self.configuration.volume_dd_blocksize
        image_utils.fetch_to_raw(
            context, image_service, image_id, self._path(volume), block_size, size=volume.size, run_as_root=False
        )
        os.truncate(self._path(volume), volume.size * units.Gi)

    def copy_volume_to_image(self, context, volume, image_service, image_meta):
        volume_utils.upload_volume(context, image_service, image_meta, self._path(volume), volume, run_as_root=False)

    # Groups

    def create_group(self, context, group):
        return {"status": fields.GroupStatus.AVAILABLE}

    def update_group(self, context, group, add_volumes=None, remove_volumes=None):
        return {"status": fields.GroupStatus.AVAILABLE}, None, None

    def delete_group(self, context, group, volumes):
        for volume in volumes:
            self._remove(volume)
        return {"status": fields.GroupStatus.DELETED}, [{"id": one.id, "status": "deleted"} for one in volumes]

    def create_group_snapshot(self, context, group_snapshot, snapshots):
        for snapshot in snapshots:
            self.create_snapshot(snapshot)
        status = fields.SnapshotStatus.AVAILABLE
        return {"status": status}, [{"id": one.id, "status": status} for one in snapshots]

    def delete_group_snapshot(self, context, group_snapshot, snapshots):
        for snapshot in snapshots:
            self._remove(snapshot)
        status = fields.SnapshotStatus.DELETED
        return {"status": status}, [{"id": one.id, "status": status} for one in snapshots]

    def _update_volume_stats(self):
        disk = os.statvfs(self.configuration.folder)
        self._stats = {
            "volume_backend_name": self.configuration.volume_backend_name,
            "vendor_name": "Lab",
            "driver_version": self.VERSION,
            "storage_protocol": "local",
            "pools": [
                {
                    "pool_name": "files",
                    "total_capacity_gb": disk.f_frsize * disk.f_blocks / units.Gi,
                    "free_capacity_gb": disk.f_frsize * disk.f_bavail / units.Gi,
                    "reserved_percentage": 0,
                    "max_over_subscription_ratio": "100",
                    "thin_provisioning_support": True,
                    "multiattach": True,
                    "consistent_group_snapshot_enabled": True,
                }
            ],
        }
