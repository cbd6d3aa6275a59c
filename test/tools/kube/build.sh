#!/usr/bin/env bash
# Builds kube-apiserver, etcd, kubectl and the fake kubelet from Go modules, and prints the
# folder of the binaries on standard output.
#
# The binaries are cached outside the tree, keyed by this module's go.mod, so a second call
# takes a second. Progress goes to standard error and, as "done/total name", to the file named
# by FAIRLEAD_KUBE_PROGRESS.
set -euo pipefail
cd "$(dirname "$0")"

version=v1.37.2
key=$(cat go.mod build.sh | sha256sum | cut -c1-16)
cache=${FAIRLEAD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fairlead}
out=$cache/kube/$key
mkdir -p "$out"

# Only one build runs at a time, because a test run and a demo may start together.
exec 9>"$out/.lock"
flock 9

export CGO_ENABLED=0
stamp="-X k8s.io/component-base/version.gitVersion=$version -X k8s.io/component-base/version.gitMajor=1"
stamp="$stamp -X k8s.io/component-base/version.gitMinor=37 -X k8s.io/client-go/pkg/version.gitVersion=$version"

say() { printf '%s\n' "$*" >&2; }

progress() { # NAME TOTAL: reads package names as they are compiled
  local name=$1 total=$2 done=0
  while read -r _; do
    done=$((done + 1))
    if [ -n "${FAIRLEAD_KUBE_PROGRESS:-}" ]; then echo "$done/$total $name" >"$FAIRLEAD_KUBE_PROGRESS"; fi
    if [ $((done % 100)) -eq 0 ]; then say "  $name: $done of about $total packages"; fi
  done
}

build() { # NAME PACKAGE
  local name=$1 package=$2 total
  [ -x "$out/$name" ] && return
  say "building $name from source (a first build takes minutes, later ones are kept)"
  total=$(go list -deps "$package" | wc -l)
  # go lists the packages that it compiles on standard error. Other lines are errors.
  go build -v -trimpath -ldflags "-s -w $stamp" -o "$out/$name.part" "$package" 2> >(tee "$out/$name.log" | progress "$name" "$total") || {
    tail -n 20 "$out/$name.log" >&2
    exit 1
  }
  mv "$out/$name.part" "$out/$name"
}

build etcd go.etcd.io/etcd/server/v3
build kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver
build kubectl k8s.io/kubernetes/cmd/kubectl
for own in fakekubelet authenticator; do
  go build -trimpath -o "$out/$own.part" "./$own"
  mv "$out/$own.part" "$out/$own"
done
echo "$out"
