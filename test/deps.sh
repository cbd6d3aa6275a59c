#!/usr/bin/env bash
# Installs the programs and modules that the tests need. Without root it lists the missing ones.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
have() { command -v "$1" >/dev/null 2>&1 || [ -x "$2" ]; }
have slapd /usr/sbin/slapd || missing+=(slapd)
have ldapadd /usr/bin/ldapadd || missing+=(ldap-utils)
have chromium /usr/bin/chromium || missing+=(chromium)
have certutil /usr/bin/certutil || missing+=(libnss3-tools)
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || have initdb /usr/bin/initdb || missing+=(postgresql)
have npm /usr/bin/npm || missing+=(npm)
have zsh /usr/bin/zsh || missing+=(zsh)
have fish /usr/bin/fish || missing+=(fish)
have samba /usr/sbin/samba && have samba-tool /usr/bin/samba-tool && [ -d /usr/share/samba/setup ] || missing+=(samba-ad-dc samba-ad-provision)
have ip /usr/sbin/ip || missing+=(iproute2)
have nginx /usr/sbin/nginx || missing+=(nginx-light)

if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "The tests need these packages: ${missing[*]}. Install them (on Debian: sudo apt-get install ${missing[*]}) and run make again." >&2
    exit 1
  fi
  echo "Installing ${missing[*]} …"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  # Install slapd without a directory of its own: the tests run their own.
  command -v debconf-set-selections >/dev/null && echo "slapd slapd/no_configuration boolean true" | debconf-set-selections
  # The tests run their own servers, so let the packages start none.
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  fi
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

if [ -f test/tools/js/package-lock.json ] && ! [ test/tools/js/node_modules/.package-lock.json -nt test/tools/js/package-lock.json ]; then
  echo "Installing npm modules for the tests …"
  (cd test/tools/js && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error)
fi

echo "Building kube-apiserver, etcd and kubectl, unless they are cached …"
test/tools/kube/build.sh >/dev/null
test/tools/clients/build.sh >/dev/null
