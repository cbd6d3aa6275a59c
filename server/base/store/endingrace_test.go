package store_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// TestEndingsAgainstRedemptions redeems a code and rotates a refresh token on one replica, while the
// other one ends everything of the user. No matter which is first, nothing is left.
func TestEndingsAgainstRedemptions(t *testing.T) {
	t.Parallel()
	twoPools(t, func(t *testing.T, pools [2]*store.Store) {
		u := mustUser(t, pools[0], "17", "jane")
		end := store.At(noon().Add(time.Hour))
		for round := range 15 {
			sid := fmt.Sprint("sid", round)
			must(t, pools[0].CreateSignIn(t.Context(), &store.SignIn{ID: sid, CookieHash: sid, UserID: u.ID, IdleExpires: end, Expires: end}))
			grants := [2]store.Redemption{grant(u, fmt.Sprint("first", round)), grant(u, fmt.Sprint("second", round))}
			for i := range grants {
				grants[i].Access.SignInID = sid
				must(t, pools[0].CreateCode(t.Context(), &store.Code{Hash: grants[i].CodeHash, UserID: u.ID, SignInID: sid, Expires: end}))
			}
			if won, err := pools[0].RedeemCode(t.Context(), grants[0], noon()); err != nil || !won {
				t.Fatalf("redeemed %v, error %v", won, err)
			}
			successor := store.AccessToken{Hash: secret.ID("a"), UserID: u.ID, SignInID: sid, DeviceID: grants[0].Device.ID, Expires: end}
			atOnce(t,
				func() error {
					_, err := pools[1].End(t.Context(), store.Ending{Scope: store.EndPerson, UserID: u.ID}, noon())
					return err
				},
				func() error { _, err := pools[0].RedeemCode(t.Context(), grants[1], noon()); return err },
				func() error { return issueAndRedeem(t, pools[0], u, sid, fmt.Sprint("late", round)) },
				func() error {
					_, err := pools[0].Rotate(t.Context(), store.Rotation{
						Presented: grants[0].Refresh.Hash, IdleExpires: end, Access: successor,
						Successor: store.RefreshToken{Hash: secret.ID("r"), DeviceID: grants[0].Device.ID, Expires: end},
					}, noon())
					return err
				},
			)
			if devices, err := pools[0].Devices(t.Context(), u.ID, noon()); err != nil || len(devices) != 0 {
				t.Fatalf("round %d: devices %+v, error %v", round, devices, err)
			}
			for _, hash := range []string{grants[0].Access.Hash, grants[1].Access.Hash, successor.Hash} {
				if may, err := pools[0].MayMint(t.Context(), store.Mint{UserID: u.ID, ClusterID: "one", AccessHash: hash}, noon()); err != nil || may {
					t.Fatalf("round %d: an access token is left, error %v", round, err)
				}
			}
		}
	})
}

// issueAndRedeem issues codes of a session and redeems them, a few times.
func issueAndRedeem(t *testing.T, s *store.Store, u *store.User, sid, name string) error {
	t.Helper()
	for i := range 6 {
		r := grant(u, fmt.Sprint(name, i))
		r.Access.SignInID = sid
		if err := s.CreateCode(t.Context(), &store.Code{Hash: r.CodeHash, UserID: u.ID, SignInID: sid, Expires: r.Access.Expires}); err != nil {
			return err
		}
		if _, err := s.RedeemCode(t.Context(), r, noon()); err != nil {
			return err
		}
	}
	return nil
}

// atOnce runs functions at the same time and reports their errors.
func atOnce(t *testing.T, fns ...func() error) {
	t.Helper()
	var wg sync.WaitGroup
	start := make(chan struct{})
	for _, fn := range fns {
		wg.Go(func() {
			<-start
			if err := fn(); err != nil {
				t.Error(err)
			}
		})
	}
	close(start)
	wg.Wait()
}
