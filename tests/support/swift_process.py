"""The four OpenStack Swift servers in one process, with the S3 API in front. `swift.py` starts it.

It runs under the interpreter of Swift's own virtualenv, isolated (`python -I`), so it imports nothing of
PopOff, and the module `swift` beside it does not hide the real one.

    python -I swift_process.py FOLDER SECRET

SECRET is the key of the user `test:popoff`; FOLDER takes rings, configuration and data. Sockets are bound to free
loopback ports before the rings that name them are written, so no port can be lost to another program. One line of JSON
on standard output, `{"port": N}`, says that the proxy serves. The process ends with SIGTERM, or, taking
FOLDER with it, when whoever started it is gone.
"""

# mypy: ignore-errors
# ruff: noqa: E402
from swift.common.utils import monkey_patch

monkey_patch()

import json
import os
import shutil
import signal
import sys
import warnings
from pathlib import Path

import eventlet
from eventlet import wsgi
from swift.common import storage_policy, utils
from swift.common.http_protocol import SwiftHttpProtocol
from swift.common.ring import RingBuilder
from swift.common.wsgi import loadapp

SWIFT_CONF = """
[swift-hash]
swift_hash_path_suffix = popoff
[storage-policy:0]
name = one
default = yes
"""

BACKEND_CONF = """
[DEFAULT]
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
disable_fallocate = true
fallocate_reserve = 0
log_level = ERROR
[app:main]
use = egg:swift#{server}
"""

# tempauth only maps the access key to an account; s3api checks signature version 4 with the user's key.
PROXY_CONF = """
[DEFAULT]
swift_dir = {folder}
log_level = ERROR
[pipeline:main]
pipeline = catch_errors gatekeeper s3api tempauth bulk slo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:s3api]
use = egg:swift#s3api
dns_compliant_bucket_names = true
cors_preflight_allow_origin = *
# short pages, so that a few objects make several
max_bucket_listing = 20
max_parts_listing = 2
[filter:tempauth]
use = egg:swift#tempauth
user_test_popoff = {secret} .admin
[filter:bulk]
use = egg:swift#bulk
[filter:slo]
use = egg:swift#slo
"""

BACKENDS = ("account", "container", "object")


def main(folder: Path, secret: str) -> None:
    (folder / "devices" / "d1").mkdir(parents=True)
    (folder / "swift.conf").write_text(SWIFT_CONF)
    utils.set_swift_dir(str(folder))
    storage_policy.reload_storage_policies()

    sockets = {}
    for server in BACKENDS:
        sockets[server] = eventlet.listen(("127.0.0.1", 0))
        write_ring(folder / f"{server}.ring.gz", sockets[server].getsockname()[1])
        (folder / f"{server}.conf").write_text(BACKEND_CONF.format(folder=folder, server=server))
    (folder / "proxy.conf").write_text(PROXY_CONF.format(folder=folder, secret=secret))
    sockets["proxy"] = eventlet.listen(("127.0.0.1", 0))

    for server, sock in sockets.items():
        app = loadapp(str(folder / f"{server}.conf"), global_conf={"log_name": server})
        eventlet.spawn(serve, sock, app)
    print(json.dumps({"port": sockets["proxy"].getsockname()[1]}), flush=True)

    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    parent = os.getppid()
    while os.getppid() == parent:
        eventlet.sleep(0.5)
    shutil.rmtree(folder, ignore_errors=True)


def write_ring(path: Path, port: int) -> None:
    """A ring of one device: every object has one copy, on the server that listens on `port`."""
    builder = RingBuilder(part_power=1, replicas=1, min_part_hours=0)
    builder.add_dev(
        {"region": 1, "zone": 1, "ip": "127.0.0.1", "port": port, "device": "d1", "weight": 1, "meta": ""}
        | {"replication_ip": "127.0.0.1", "replication_port": port}
    )
    builder.rebalance()
    builder.get_ring().save(str(path))


def serve(sock, app) -> None:
    # Swift's own settings for its HTTP server; AWS clients need the header spelt "ETag", not "Etag".
    warnings.filterwarnings("ignore", message="capitalize_response_headers is disabled")
    wsgi.server(sock, app, utils.NullLogger(), protocol=SwiftHttpProtocol, capitalize_response_headers=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
