#!/usr/bin/env bash
# Runs every test, against the real programs that deps.sh has installed.
set -euo pipefail
cd "$(dirname "$0")/.."

FAIRLEAD_TEST_BIN=$PWD/bin
FAIRLEAD_TEST_KUBE=$(test/tools/kube/build.sh)
FAIRLEAD_TEST_JS=$PWD/test/tools/js
FAIRLEAD_TEST_CLIENTS=$(test/tools/clients/build.sh)
export FAIRLEAD_TEST_BIN FAIRLEAD_TEST_KUBE FAIRLEAD_TEST_CLIENTS FAIRLEAD_TEST_JS

began=$SECONDS
echo "== unit and component tests (race detector, SQLite and PostgreSQL, slapd, Samba)"
# SQLite is C translated to Go, which the race detector slows down most. Packages with generics must keep the
# detector: the linker may choose their copy of a generic function of the standard library, such as sync.Map's.
test/with-postgres.sh go test -race -gcflags='modernc.org/sqlite/lib=-race=false' -shuffle=on -timeout 20m $(go list ./... | grep -vE '/test/suites/(e2e|conformance|drills)$')
echo "== ten thousand kubeconfigs"
go test -count=1 ./cmd/kubectl-fairlead/merge
echo "== protocol conformance, and a deliberate fault for each check"
go test -count=1 -timeout 20m ./test/suites/conformance
echo "== builds: the plugin for every system, the conformance suite on macOS"
make --no-print-directory plugins
GOOS=darwin go vet ./test/suites/conformance
echo "== whole system (kube-apiserver, kubectl, slapd, Chromium)"
# Some tests wait for a minute, so more of them run at once than there are cores.
test/with-postgres.sh go test -count=1 -parallel 4 -timeout 20m ./test/suites/e2e
echo "== failure drills, short form: rotations, dead replicas, stopped databases, full disks"
test/with-postgres.sh go test -count=1 -timeout 20m ./test/suites/drills
echo "== fuzzing each parser briefly"
# The limit is a count. With a time limit, a slow machine would stop before it has run the known
# inputs, which go test reports as a failure.
for target in ./internal/kubenames:FuzzCheck ./internal/password:FuzzValid ./internal/strictyaml:FuzzDecode ./server/policy/clients:FuzzAllowsRedirect \
  ./server:FuzzAuthorize ./connectors/ldap:FuzzLogin ./connectors/ldap:FuzzGeneralizedTime ./connectors/claims:FuzzGroups ./internal/jwks:FuzzParse ./server/base/flow:FuzzLocalPath ./server/base/flow:FuzzOpen ./server/base/oauth:FuzzForm ./server/oidc/clientauth:FuzzAssertion ./server/policy/workload:FuzzWorkload ./server/oidc/device:FuzzUserCode ./proxy/authn:FuzzVerify ./proxy/impersonate:FuzzHeaders ./proxy/kubeaudit:FuzzParsePolicy ./proxy/recorder:FuzzTap ./server/fleet/recordings:FuzzPlay; do
  out=$(go test -run '^$' -fuzz "^${target#*:}\$" -fuzztime 5000x "${target%%:*}" 2>&1) || { echo "Fuzzing $target found a failure:" >&2; echo "$out" >&2; exit 1; }
done
echo "All tests passed in $((SECONDS - began)) seconds."
