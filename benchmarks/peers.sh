#!/usr/bin/env bash
# Builds the newest restic that Debian has, with its Azure backend, as one static program.
#     benchmarks/peers.sh OUT
# Run by root, with debootstrap installed; five minutes and 2 GB of TMPDIR. Debian's own package leaves the Azure backend
# out, but its source has it, and Debian packages every library that it needs: nothing comes from anywhere else. All of
# it happens in a minimal system below TMPDIR that is removed at the end.
#
# One line is added to restic: RESTIC_AZURE_URL, where set, is the container's URL. restic itself speaks to Azure by the
# account's name and HTTPS alone, which Azurite does not.
set -euo pipefail

out=$(realpath -m "${1:?usage: benchmarks/peers.sh OUT}")
[ "$(id -u)" = 0 ] || { echo "peers: only root can make the system that builds restic" >&2; exit 1; }
command -v debootstrap >/dev/null || { echo "peers: debootstrap is missing: apt-get install debootstrap" >&2; exit 1; }
# The mirror is this machine's own, Debian's otherwise.
mirror=$(sed -nE 's/^(URIs:|deb) *(\[[^]]*\] *)?(http[^ ]*).*/\3/p' /etc/apt/sources.list.d/debian.sources \
    /etc/apt/sources.list 2>/dev/null | head -1 || true)

work=$(mktemp -d "${TMPDIR:-/var/tmp}/azbackup-peers.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
root="$work/sid"

debootstrap --variant=minbase --include=ca-certificates,dpkg-dev sid "$root" ${mirror:+"$mirror"} >"$work/log" 2>&1 ||
    { tail -20 "$work/log" >&2; exit 1; }
cp -L --remove-destination /etc/resolv.conf /etc/hosts "$root/etc/"
cp -rL --remove-destination /etc/ssl/certs/. "$root/etc/ssl/certs/"
sed -nE 's/^deb /deb-src /p' "$root/etc/apt/sources.list" >"$root/etc/apt/sources.list.d/source.list"

cat >"$root/build" <<'BUILD'
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive HOME=/root
apt-get update -qq -o Acquire::Check-Valid-Until=false
cd /root
apt-get source -qq --download-only restic
mkdir packaging source
tar xf restic_*.debian.tar.?z -C packaging --strip-components=1
tar xf restic_*.orig.tar.?z -C source --strip-components=1
# What Debian builds it with, and the three libraries of the backend that Debian leaves out.
libraries=$(sed -n '/^Build-Depends/,/^Standards/p' packaging/control |
    grep -oE 'golang[a-z0-9.+-]+' | sort -u)
apt-get install -y -qq --no-install-recommends $libraries golang-github-azure-azure-sdk-for-go-dev \
    golang-github-azuread-microsoft-authentication-library-for-go-dev \
    golang-github-azuread-microsoft-authentication-extensions-for-go-dev
mkdir -p go/src/github.com/restic
mv source go/src/github.com/restic/restic
cd go/src/github.com/restic/restic
backend=internal/backend/azure/azure.go
sed -i 's|^\(\s*\)url := fmt.Sprintf("https://%s.blob.%s/%s", .*|&\
\1if u := os.Getenv("RESTIC_AZURE_URL"); u != "" {\
\1\turl = u\
\1}|' "$backend"
grep -q RESTIC_AZURE_URL "$backend" || { echo "restic's $backend has changed: mend benchmarks/peers.sh" >&2; exit 1; }
grep -q '"os"' "$backend" || sed -i '0,/^import (/s//import (\n\t"os"/' "$backend"
GOPATH=/root/go:/usr/share/gocode GO111MODULE=off GOTOOLCHAIN=local CGO_ENABLED=0 go build -o /root/out ./cmd/restic
BUILD

unshare --mount --pid --fork --kill-child bash -euc 'mount -t proc proc "$0/proc"; exec chroot "$0" bash /build' "$root" \
    >>"$work/log" 2>&1 || { tail -20 "$work/log" >&2; exit 1; }
mkdir -p "$(dirname "$out")"
install -m 755 "$root/root/out" "$out"
"$out" version
