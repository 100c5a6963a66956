"""Python reads this first, in all daemons of the lab: what they hold is not worth a wait for the disk."""

import os

os.fsync = os.fdatasync = lambda _file: None
