"""Lists the built files for the page: assets.json has sizes and hashes, shell.json has the files needed offline. Also
writes a gzipped copy next to each file of the shell, for servers that can send it, and prints the gzipped sizes."""

import gzip
import hashlib
import json
import pathlib
import shutil
import subprocess
import sys

# Files that the page needs to start, including a sample picture.
SHELL = ["*.html", "*.js", "accessible/*.js", "store/*.js", "*.wasm", "assets.json", "*.svg", "assets/samples/red-cat.png", "assets/fonts/*.ttf"]
NEVER = ["sw.js", "shell.json", "*.d.ts", "example.html"]


def pack(path: pathlib.Path) -> bytes:
    """The gzipped file. Uses zopfli, which compresses better, if it is installed."""
    if shutil.which("zopfli"):
        return subprocess.run(["zopfli", "-c", "--i5", path], check=True, stdout=subprocess.PIPE).stdout
    return gzip.compress(path.read_bytes(), 9, mtime=0)


def main(dist: pathlib.Path) -> None:
    assets = {
        str(path.relative_to(dist / "assets")): {
            "bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in sorted((dist / "assets").rglob("*"))
        if path.is_file()
    }
    (dist / "assets.json").write_text(json.dumps(assets, indent=1))

    shell = sorted({path for pattern in SHELL for path in dist.glob(pattern)})
    shell = [path for path in shell if not any(path.match(pattern) for pattern in NEVER)]
    version = hashlib.sha256(b"".join(path.read_bytes() for path in shell)).hexdigest()[:16]
    files = [str(path.relative_to(dist)) for path in shell]
    (dist / "shell.json").write_text(json.dumps({"version": version, "files": files}, indent=1))

    total = 0
    for path in shell:
        packed = pack(path)
        if path.suffix != ".png":
            path.with_name(path.name + ".gz").write_bytes(packed)
        if path.suffix in (".wasm", ".js"):
            total += len(packed)
            print(f"{len(packed):>9} {path.relative_to(dist)}, gzipped")
    print(f"{total:>9} in total")


main(pathlib.Path(sys.argv[1]))
