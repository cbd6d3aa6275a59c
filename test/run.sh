#!/usr/bin/env bash
# Runs every test, with the real parts that deps.sh has installed.
set -euo pipefail
cd "$(dirname "$0")/.."

FAIRLEAD_TEST_BIN=$PWD/bin
FAIRLEAD_TEST_KUBE=$(test/kube/build.sh)
FAIRLEAD_TEST_JS=$PWD/test/js
FAIRLEAD_TEST_CLIENTS=$(test/clients/build.sh)
export FAIRLEAD_TEST_BIN FAIRLEAD_TEST_KUBE FAIRLEAD_TEST_CLIENTS FAIRLEAD_TEST_JS

began=$SECONDS
echo "== unit and component tests (race detector, SQLite and PostgreSQL, slapd)"
test/with-postgres.sh go test -race -shuffle=on -timeout 20m $(go list ./... | grep -vE '/test/(e2e|conformance|drills)$')
echo "== ten thousand kubeconfigs"
go test -count=1 ./cmd/kubectl-fairlead/merge
echo "== protocol conformance, and that each of its checks can fail"
go test -count=1 -timeout 20m ./test/conformance
echo "== the plugin builds for every system, and the check of a deployed issuer on macOS"
make --no-print-directory plugins
GOOS=darwin go vet ./test/conformance
echo "== whole system (kube-apiserver, kubectl, slapd, Chromium)"
# Some of them wait for a minute: more at once than there are cores.
test/with-postgres.sh go test -count=1 -parallel 4 -timeout 20m ./test/e2e
echo "== drills, in short: rotations, dead replicas, stopped databases, full disks"
test/with-postgres.sh go test -count=1 -timeout 20m ./test/drills
echo "== fuzzing each parser for a moment"
# By count: by time, a slow machine ends before the known inputs are through, which
# counts as a failure.
for target in ./internal/names:FuzzCheck ./internal/password:FuzzValid ./internal/strictyaml:FuzzDecode ./server/clients:FuzzAllowsRedirect \
  ./server:FuzzAuthorize ./connectors/ldap:FuzzLogin ./server/flow:FuzzLocalPath ./server/flow:FuzzOpen ./server/oauth:FuzzForm ./server/clientauth:FuzzAssertion ./server/machine:FuzzWorkload ./server/device:FuzzUserCode ./proxy/authn:FuzzVerify ./proxy/impersonate:FuzzHeaders ./proxy/kubeaudit:FuzzParsePolicy ./proxy/record:FuzzSession ./server/recordings:FuzzPlay; do
  out=$(go test -run '^$' -fuzz "^${target#*:}\$" -fuzztime 5000x "${target%%:*}" 2>&1) || { echo "fuzzing $target found something:" >&2; echo "$out" >&2; exit 1; }
done
echo "All tests passed in $((SECONDS - began)) seconds."
