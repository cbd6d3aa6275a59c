package store_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
)

var update = flag.Bool("update", false, "write the table of endings anew")

const revocationPage = "../../../docs/explanation/revocation.md"

// TestTableOfEndings compares the table on the page with the code.
func TestTableOfEndings(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(revocationPage)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "-update -->\n", "<!-- end of the table -->"
	head, rest, _ := strings.Cut(string(page), begin)
	_, tail, found := strings.Cut(rest, end)
	if !found {
		t.Fatal("the page has no table")
	}
	want := head + begin + tableOfEndings() + end + tail
	if *update {
		if err := os.WriteFile(revocationPage, []byte(want), 0o644); err != nil { //nolint:gosec // a page for everyone
			t.Fatal(err)
		}
		return
	}
	if string(page) != want {
		t.Errorf("%s is not the code's: run this test with -update", revocationPage)
	}
}

func tableOfEndings() string {
	var b strings.Builder
	header := []string{"act", "by"}
	for _, h := range store.Holdings() {
		header = append(header, string(h))
	}
	header = append(header, "cluster tokens at a proxy")
	fmt.Fprintf(&b, "| %s |\n|%s\n", strings.Join(header, " | "), strings.Repeat(" --- |", len(header)))
	for _, row := range store.Endings() {
		cells := []string{"**" + row.Act + "**", row.Doors}
		for _, h := range store.Holdings() {
			cells = append(cells, string(row.Scope.Effect(h)))
		}
		last := "stay"
		if row.Scope.RevokesClusterTokens() {
			last = "end within about a second"
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(append(cells, last), " | "))
	}
	return b.String()
}

// things are one row of each holding of a user, and ways to use it.
type things struct {
	user *store.User
	ids  map[store.Scope]string
	use  map[store.Holding]func() (bool, error)
}

func newThings(t *testing.T, s *store.Store, scope store.Scope) *things {
	t.Helper()
	u := mustUser(t, s, "17", "jane")
	end := store.At(noon().Add(time.Hour))
	d, refresh := device(t, s, u)
	must(t, s.GrantConsent(t.Context(), u.ID, d.ClientID, []string{"openid"}, noon()))
	must(t, s.CreateCode(t.Context(), &store.Code{
		Hash: secret.Hash("code"), UserID: u.ID, SignInID: u.ID, ClientID: d.ClientID, Scopes: store.Strings{"openid", "offline_access"}, Expires: end,
	}))
	must(t, s.CreateDeviceCode(t.Context(), &store.DeviceCode{Hash: "device code", UserCodeHash: "u", ClientID: d.ClientID, Expires: end, IntervalSeconds: 5}))
	if approved, err := s.ApproveDeviceCode(t.Context(), "device code", store.Approval{UserID: u.ID, SignInID: u.ID}, noon()); err != nil || !approved {
		t.Fatalf("approved %v, error %v", approved, err)
	}
	access := store.AccessToken{Hash: secret.Hash("access"), UserID: u.ID, ClientID: d.ClientID, SignInID: u.ID, DeviceID: d.ID, Expires: end}
	if scope == store.EndSignIn { // the tokens of a device outlive the session
		access.DeviceID = ""
	}
	must(t, s.CreateAccessToken(t.Context(), &access))
	must(t, s.CreateAPIToken(t.Context(), &store.APIToken{Hash: "api", UserID: u.ID, Expires: end}))
	return &things{user: u, ids: map[store.Scope]string{store.EndSignIn: u.ID, store.EndDevice: d.ID, store.EndConsent: d.ClientID, store.EndClient: d.ClientID, store.EndConnector: u.ConnectorID}, use: map[store.Holding]func() (bool, error){
		store.Codes:       func() (bool, error) { return s.RedeemCode(t.Context(), grant(u, secret.Hash("code")), noon()) },
		store.DeviceCodes: func() (bool, error) { return s.RedeemDeviceCode(t.Context(), grant(u, "device code"), noon()) },
		store.SignIns: func() (bool, error) {
			rows, err := s.SignIns(t.Context(), u.ID, noon())
			return len(rows) == 1, err
		},
		store.Devices: func() (bool, error) {
			successor := rotation(d, refresh)
			return s.Rotate(t.Context(), successor, noon())
		},
		store.AccessTokens: func() (bool, error) {
			return s.MayMint(t.Context(), store.Mint{UserID: u.ID, ClusterID: "one", AccessHash: access.Hash}, noon())
		},
		store.APITokens: func() (bool, error) {
			row, err := s.APITokenByHash(t.Context(), "api", noon())
			if err != nil {
				return false, nil //nolint:nilerr // an ended token is not found
			}
			owner, err := s.User(t.Context(), row.UserID)
			return err == nil && !owner.Blocked(), err
		},
		store.Consents: func() (bool, error) { return s.Consented(t.Context(), u.ID, d.ClientID, []string{"openid"}) },
	}}
}

// TestEndingsDoWhatTheTableSays ends something, lets the user back in, and uses everything.
func TestEndingsDoWhatTheTableSays(t *testing.T) {
	t.Parallel()
	for _, row := range store.Endings() {
		t.Run(string(row.Scope), func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, s *store.Store) {
				things := newThings(t, s, row.Scope)
				before, err := s.FeedPosition(t.Context())
				must(t, err)
				if row.Scope == store.EndRefused {
					_, refused, err := s.RefuseUser(t.Context(), things.user, "upstream_denied", noon())
					if err != nil || !refused {
						t.Fatalf("refused %v, error %v", refused, err)
					}
				} else {
					ended, err := s.End(t.Context(), store.Ending{Scope: row.Scope, UserID: things.user.ID, ID: things.ids[row.Scope]}, noon())
					if err != nil || !ended.Anything() {
						t.Fatalf("ended %v, error %v", ended, err)
					}
				}
				for _, h := range store.Holdings() {
					if row.Scope.Effect(h) == store.Suspends {
						expect(t, things, h, false, "while it is suspended")
					}
				}
				if _, err := s.EnableUser(t.Context(), things.user.ID); err != nil {
					t.Fatal(err)
				}
				mustUser(t, s, "17", "jane") // the upstream confirms the user again
				for _, h := range store.Holdings() {
					expect(t, things, h, row.Scope.Effect(h) != store.Ends, "afterwards")
				}
				revocations, err := s.Revocations(t.Context(), before.Seq, noon())
				must(t, err)
				told := slices.ContainsFunc(revocations, func(r store.Revocation) bool { return r.Kind != store.RightsChanged })
				if told != row.Scope.RevokesClusterTokens() {
					t.Errorf("revocations %+v, want them %v", revocations, row.Scope.RevokesClusterTokens())
				}
			})
		})
	}
}

func expect(t *testing.T, things *things, h store.Holding, want bool, when string) {
	t.Helper()
	if works, err := things.use[h](); err != nil || works != want {
		t.Errorf("%s %s: works %v, want %v; error %v", h, when, works, want, err)
	}
}
