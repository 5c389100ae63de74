#!/usr/bin/env bash
# Gets a wasm2c that knows SIMD (wabt 1.0.33 or newer), for the test of a host without JavaScript. Debian 12 has an older
# one: this unpacks Debian 13's, with the C libraries that it was built for, under node_modules/.cache and installs
# nothing. Where that cannot be done it says so and succeeds: the test is then skipped.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
home="$PWD/node_modules/.cache/sinter-wasm2c"

skip() {
  echo "No wasm2c for the test without JavaScript: $1"
  exit 0
}

if [ -x "$home/wasm2c" ]; then exit 0; fi
if dpkg --compare-versions "$(wasm2c --version 2>/dev/null || echo 0)" ge 1.0.33 2>/dev/null; then exit 0; fi
command -v apt-get dpkg-deb >/dev/null || skip "this system has no apt"
[ "$(dpkg --print-architecture)" = amd64 ] || skip "only Debian's packages for amd64 are known here"

draft=$(mktemp -d)
trap 'rm -rf "$draft"' EXIT
mkdir -p "$draft"/{lists/partial,cache/archives/partial,debs,root}
keys=/usr/share/keyrings/debian-archive-keyring.gpg
# The archive that this system is set up for, whichever mirror that is.
archive=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep '/debian/\?$' | head -n 1)
[ -n "$archive" ] || skip "this system knows no archive of Debian's"
echo "deb [signed-by=$keys] $archive trixie main" >"$draft/sources.list"
options=(-qq -o "Dir::Etc::sourcelist=$draft/sources.list" -o Dir::Etc::sourceparts=/dev/null
  -o "Dir::State::lists=$draft/lists" -o "Dir::Cache=$draft/cache" -o APT::Sandbox::User=root -o Acquire::Retries=2)
apt-get "${options[@]}" update || skip "Debian's list of packages did not come"
packages=(wabt libsimde-dev libc6 libstdc++6 libgcc-s1 libssl3t64)
(cd "$draft/debs" && apt-get "${options[@]}" download "${packages[@]}") || skip "Debian's packages did not come"
for file in "$draft"/debs/*.deb; do dpkg-deb -x "$file" "$draft/root" || skip "$file cannot be unpacked"; done

rm -rf "$home"
mkdir -p "$home"
mv "$draft/root/usr" "$home/usr"
libraries="$home/usr/lib/x86_64-linux-gnu"
printf '#!/bin/sh\nexec "%s/ld-linux-x86-64.so.2" --library-path "%s" "%s/usr/bin/wasm2c" "$@"\n' \
  "$libraries" "$libraries" "$home" >"$home/wasm2c"
chmod +x "$home/wasm2c"
"$home/wasm2c" --version >/dev/null || { rm -rf "$home" && skip "it does not start here"; }
echo "wasm2c $("$home/wasm2c" --version) for the test without JavaScript"
