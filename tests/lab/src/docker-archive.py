"""Writes config and manifest of a one-layer image in docker's archive format:
docker-archive.py FOLDER TAG [ENTRYPOINT...]; FOLDER holds layer.tar."""

import hashlib
import json
import sys
from pathlib import Path

folder, tag, entry = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
layer = hashlib.sha256((folder / "layer.tar").read_bytes()).hexdigest()
config = json.dumps(
    {
        "architecture": "amd64",
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {
            "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"],
            "Entrypoint": entry or None,
            "WorkingDir": "/",
        },
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + layer]},
    },
    sort_keys=True,
)
name = hashlib.sha256(config.encode()).hexdigest() + ".json"
(folder / name).write_text(config)
manifest = [{"Config": name, "RepoTags": [tag], "Layers": ["layer.tar"]}]
(folder / "manifest.json").write_text(json.dumps(manifest))
