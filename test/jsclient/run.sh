#!/usr/bin/env bash
# Runs the official JavaScript clients' own test suites against pkg/socketio and pkg/engine.
#
#   test/jsclient/run.sh SUITE_DIR [socket.io-client|engine.io-client]
#
# SUITE_DIR is a checkout of github.com/socketio/socket.io. It is only read: the suites are copied to a temporary
# directory, where the clients are installed as published. Needs Go, Node 20 and npm, and the suite's port (3210, 3000).
# USE_FETCH=1 makes the Engine.IO suite poll with fetch. Exits with 0 when every case passed that README.md does not name.
set -euo pipefail

suite=${2:-socket.io-client}
if [ $# -lt 1 ] || [ $# -gt 2 ] || [ ! -d "$1/packages/$suite/test" ]; then
	sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2
	exit 64
fi
source=$(cd "$1/packages/$suite/test" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
server=
finish() {
	if [ -n "$server" ]; then
		kill "$server" 2>/dev/null || true
		wait "$server" 2>/dev/null || true
	fi
	rm -rf "$work"
}
trap finish EXIT

# A suite loads the client as the package around it, so it goes into the published one. The hook that would start
# Node's server is not loaded.
cp "$here"/package.json "$here"/package-lock.json "$work"
(cd "$work" && npm ci --no-audit --no-fund --loglevel=error >/dev/null)
cp -r "$source" "$work/node_modules/$suite/test"

(cd "$here" && go build -o "$work/server" ./server)
"$work/server" -suite "$suite" >"$work/ready" &
server=$!
until [ -s "$work/ready" ]; do
	kill -0 "$server" 2>/dev/null || exit 1
	sleep 0.05
done

cd "$work/node_modules/$suite"
mocha=$work/node_modules/.bin/mocha
status=0
if [ "$suite" = engine.io-client ]; then
	"$mocha" --exit test/index.js || status=1
	exit $status
fi
suite() { "$mocha" --import=tsx --exit "$@" test/index.ts; }
suite --invert --grep 'reconnect timeout' || status=1
# Without a server, and with the clock replaced: one that fails would take every later case with it.
suite --grep 'reconnect timeout' || echo "(not the server's: see README.md)"
exit $status
