"""Serves a folder to browsers on this machine, with MIME types, ranges, gzipped files and revalidation."""

import argparse
import functools
import http.server
import pathlib
import re
import sys
import urllib.parse

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".yaml": "text/plain; charset=utf-8",
}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, folder, any_origin, *args):
        self.folder = folder
        self.any_origin = any_origin
        super().__init__(*args)

    def do_GET(self):
        self.answer(with_body=True)

    def do_HEAD(self):
        self.answer(with_body=False)

    def answer(self, with_body):
        path = self.find()
        if path is None:
            return self.send_error(404)
        wanted = self.headers.get("Range")
        # Ranges refer to the uncompressed file.
        packed = None if wanted else self.find_packed(path)
        with open(packed or path, "rb") as file:
            status = pathlib.Path(file.name).stat()
            tag = f'"{status.st_mtime_ns:x}-{status.st_size:x}{"-gzip" if packed else ""}"'
            if tag in self.headers.get("If-None-Match", ""):
                return self.send_head(304, path, packed, tag)
            if self.headers.get("If-Range", tag) != tag:
                wanted = None
            code, start, end = span(wanted, status.st_size)
            more = {}
            if code != 200:
                found = "*" if code == 416 else f"{start}-{end - 1}"
                more = {"Content-Range": f"bytes {found}/{status.st_size}"}
            self.send_head(code, path, packed, tag, more | {"Content-Length": str(end - start)})
            if with_body:
                file.seek(start)
                send(file, self.wfile, end - start)

    def find(self):
        """The requested file, if it exists in the folder."""
        name = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path).lstrip("/")
        if "\0" in name:
            return None
        path = (self.folder / name).resolve()
        if path.is_dir():
            path /= "index.html"
        return path if path.is_relative_to(self.folder) and path.is_file() else None

    def find_packed(self, path):
        packed = path.with_name(path.name + ".gz")
        return packed if "gzip" in self.headers.get("Accept-Encoding", "") and packed.is_file() else None

    def send_head(self, code, path, packed, tag, more={}):
        headers = {
            "Content-Type": TYPES.get(path.suffix.lower(), "application/octet-stream"),
            "Accept-Ranges": "bytes",
            "ETag": tag,
            "Cache-Control": "no-cache",
            "Vary": "Accept-Encoding",
        } | more
        if packed:
            headers["Content-Encoding"] = "gzip"
        if self.any_origin:
            headers |= {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "ETag, Content-Range"}
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_):
        """Logs nothing: a line per request would only hide the address printed at the start."""


def span(wanted, size):
    """Status, first byte and end (exclusive) for a `Range` header. Multiple ranges get the whole file."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", wanted or "")
    if not match or match.group(0) == "bytes=-":
        return 200, 0, size
    first, last = match.groups()
    start = int(first) if first else max(size - int(last), 0)
    end = min(int(last) + 1, size) if first and last else size
    return (206, start, end) if start < end else (416, 0, 0)


def send(file, to, length):
    while length > 0 and (piece := file.read(min(length, 1 << 16))):
        to.write(piece)
        length -= len(piece)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Ignores browsers that disconnect during a response."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=pathlib.Path, default=pathlib.Path(__file__).parent / "dist")
    parser.add_argument("--port", type=int, default=8080, help="0 picks a free port")
    parser.add_argument("--cors", action="store_true", help="let other sites' pages read the files")
    options = parser.parse_args()
    folder = options.folder.resolve()
    if not folder.is_dir():
        sys.exit(f"{options.folder}: expected a folder, found none: run web/build.sh first, or name another folder")
    try:
        server = Server(("localhost", options.port), functools.partial(Handler, folder, options.cors))
    except OSError as error:
        sys.exit(f"port {options.port}: {error.strerror}: choose another with --port")
    print(f"http://localhost:{server.server_port}/", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
