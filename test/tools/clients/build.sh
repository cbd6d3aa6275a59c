#!/usr/bin/env bash
# Builds other programs that use a kubeconfig (Helm, stern, an older kubectl) from Go modules,
# each in its own module, and prints the folder of the binaries.
#
# The binaries are cached outside the tree, keyed by their go.mod, so a second call returns
# at once. Progress goes to standard error.
set -euo pipefail
cd "$(dirname "$0")"

cache=${FAIRLEAD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fairlead}
out=$cache/clients/$(cat build.sh */go.mod */*.go | sha256sum | cut -c1-16)
mkdir -p "$out"
exec 9>"$out/.lock"
flock 9

build() { # NAME PACKAGE LDFLAGS
  [ -x "$out/$1" ] && return
  echo "building $1 from source (a first build takes minutes, later ones are kept)" >&2
  (cd "$1" && CGO_ENABLED=0 go build -trimpath -ldflags "-s -w ${3:-}" -o "$out/$1.part" "$2") >&2
  mv "$out/$1.part" "$out/$1"
}

kubectl=$(cd kubectl && go list -m -f '{{.Version}}' k8s.io/kubectl)
build kubectl . "-X k8s.io/component-base/version.gitVersion=v1.${kubectl#v0.}"
build helm helm.sh/helm/v4/cmd/helm
build stern github.com/stern/stern
echo "$out"
