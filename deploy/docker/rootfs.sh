#!/bin/sh
# rootfs.sh OUT CLIENT
#
# Writes what the image holds into the folder OUT, from this source tree and the folder CLIENT with the official browser
# client (`make client`). The Dockerfile runs it; outside one it makes the same files without a container engine.
# VERSION names the version. The same source, version, SOURCE_DATE_EPOCH and Go release give the same bytes, wherever the
# source lies.
set -eu

[ $# -eq 2 ] || { sed -n '2,7p' "$0" >&2; exit 2; }
mkdir -p "$1"
out=$(cd "$1" && pwd) client=$2 version=${VERSION:-dev}
source=$(cd "$(dirname "$0")/../.." && pwd)
doc=$out/usr/share/doc/carillon
mkdir -p "$out/etc/ssl/certs" "$out/usr/bin" "$out/usr/share/carillon/client" "$doc"

# Expressions in rules may name time zones, and a scratch image has no list of them: hence timetzdata.
(
	cd "$source"
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -tags timetzdata \
		-ldflags "-s -w -buildid= -X main.version=$version" -o "$out/usr/bin/gateway" ./cmd/gateway
)

# Serial number and time of writing would make every document another.
(
	cd "$source"
	GOOS='' GOARCH='' go tool -modfile=tools/image.mod cyclonedx-gomod bin -json -std -noserial -notimestamp \
		-version "$version" -output "$doc/gateway.cdx.json" "$out/usr/bin/gateway"
)
client_version=$(sed -n 's/^ *"version": *"\([^"]*\)".*/\1/p' "$client/package.json")
[ -n "$client_version" ] || { echo "rootfs.sh: $client/package.json names no version" >&2; exit 1; }
cat >"$doc/client.cdx.json" <<JSON
{
  "bomFormat": "CycloneDX",
  "specVersion": "1.6",
  "version": 1,
  "components": [
    {
      "type": "library",
      "name": "socket.io-client",
      "version": "$client_version",
      "licenses": [{"license": {"id": "MIT"}}],
      "purl": "pkg:npm/socket.io-client@$client_version"
    }
  ]
}
JSON
cp "$client"/* "$out/usr/share/carillon/client/"
cp "$source/LICENSE" "$doc/"

cp /etc/ssl/certs/ca-certificates.crt "$out/etc/ssl/certs/"
echo 'carillon:x:65532:65532::/:/sbin/nologin' >"$out/etc/passwd"
echo 'carillon:x:65532:' >"$out/etc/group"

chmod -R u=rwX,go=rX "$out"
chmod 755 "$out/usr/bin/gateway"
find "$out" -exec touch -h -d "@${SOURCE_DATE_EPOCH:-0}" {} +
