#!/bin/sh
# Serves the page at http://localhost:8080/: serve.sh [FOLDER] [--port PORT] [--cors]
exec python3 "$(dirname "$0")/serve.py" "$@"
