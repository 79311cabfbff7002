"""Serves a folder to browsers on this machine, with MIME types, ranges, gzipped files and revalidation."""

import argparse
import functools
import http.server
import os
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
        path, is_folder = self.find()
        if path is None:
            return self.send_error(404)
        if is_folder and not f"/{self.asked().path}".endswith("/"):
            return self.send_folder()
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

    def asked(self):
        return urllib.parse.urlsplit(self.path)

    def find(self):
        """The requested file, if it exists in the folder and can be read, and whether the request names its folder."""
        try:
            path = (self.folder / urllib.parse.unquote(self.asked().path).lstrip("/")).resolve(strict=True)
            is_folder = path.is_dir()
            if is_folder:
                path = (path / "index.html").resolve(strict=True)
        except (OSError, RuntimeError, ValueError):
            # It is missing, or its name is too long, a circular link or malformed.
            return None, False
        is_found = path.is_relative_to(self.folder) and path.is_file() and os.access(path, os.R_OK)
        return path if is_found else None, is_folder

    def find_packed(self, path):
        """Its gzipped copy, if the client accepts that and the file has not changed since."""
        packed = path.with_name(path.name + ".gz")
        if "gzip" not in self.headers.get("Accept-Encoding", "") or not packed.is_file():
            return None
        return packed if packed.stat().st_mtime_ns >= path.stat().st_mtime_ns else None

    def send_folder(self):
        """Sends the client to the folder's address, from which relative links in its page lead into the folder."""
        asked = self.asked()
        self.send_response(301)
        self.send_header("Location", f"/{asked.path.lstrip('/')}/{'?' if asked.query else ''}{asked.query}")
        self.send_header("Content-Length", "0")
        self.end_headers()

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
    """Status, first byte and end (exclusive) for a `Range` header. Multiple ranges, and numbers beyond any file's size,
    get the whole file."""
    match = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", wanted or "")
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


def port(text):
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"expected 0 to 65535, found {text}")
    return number


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=pathlib.Path, default=pathlib.Path(__file__).parent / "dist")
    parser.add_argument("--port", type=port, default=8080, help="0 picks a free port")
    parser.add_argument("--cors", action="store_true", help="let other sites' pages read the files")
    options = parser.parse_args()
    folder = options.folder.resolve()
    if not folder.is_dir():
        found = "a file" if folder.exists() else "none"
        sys.exit(f"{options.folder}: expected a folder, found {found}: run web/build.sh first, or name another folder")
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
