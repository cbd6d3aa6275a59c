package store_test

import (
	"fmt"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
)

// twoPools opens one database twice, as two replicas do. It runs on each kind of database, and on a PostgreSQL
// whose transactions are serializable by default, where losers must retry.
func twoPools(t *testing.T, fn func(t *testing.T, pools [2]*store.Store)) {
	t.Helper()
	both := func(t *testing.T, cfg store.Config) {
		t.Helper()
		fn(t, [2]*store.Store{storetest.Open(t, cfg), storetest.Open(t, cfg)})
	}
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		both(t, storetest.SQLiteConfig(t))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		both(t, storetest.PostgresConfig(t))
	})
	t.Run("postgres serializable", func(t *testing.T) {
		t.Parallel()
		cfg := storetest.PostgresConfig(t)
		u, err := url.Parse(cfg.DSN.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		q.Set("default_transaction_isolation", "serializable")
		u.RawQuery = q.Encode()
		cfg.DSN = secret.NewValue(u.String())
		both(t, cfg)
	})
}

// race lets eight callers of two replicas do the same thing at once, some
// rounds, and wants exactly one to win in each.
func race(t *testing.T, pools [2]*store.Store, prepare func(round int) func(s *store.Store) (bool, error)) {
	t.Helper()
	const rounds, callers = 15, 8
	for round := range rounds {
		try := prepare(round)
		var wins atomic.Int64
		var wg sync.WaitGroup
		start := make(chan struct{})
		for i := range callers {
			wg.Go(func() {
				<-start
				won, err := try(pools[i%2])
				if err != nil {
					t.Error(err)
				}
				if won {
					wins.Add(1)
				}
			})
		}
		close(start)
		wg.Wait()
		if wins.Load() != 1 {
			t.Fatalf("round %d: %d winners, want 1", round, wins.Load())
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// grant returns the tokens for a code. Each caller brings its own.
func grant(u *store.User, hash string) store.Redemption {
	end := store.At(noon().Add(time.Hour))
	d := &store.Device{ID: secret.ID("dev"), UserID: u.ID, ClientID: "c", IdleExpires: end, Expires: end}
	return store.Redemption{
		CodeHash: hash, Device: d, Refresh: &store.RefreshToken{Hash: secret.ID("r"), DeviceID: d.ID, Expires: end},
		Access: store.AccessToken{Hash: secret.ID("a"), UserID: u.ID, SignInID: u.ID, DeviceID: d.ID, Expires: end},
	}
}

func endSignIn(t *testing.T, s *store.Store, u *store.User, id string) (bool, error) {
	t.Helper()
	ended, err := s.End(t.Context(), store.Ending{Scope: store.EndSignIn, UserID: u.ID, ID: id}, noon())
	return ended.Anything(), err
}

func TestOneRedeemsACode(t *testing.T) {
	t.Parallel()
	twoPools(t, func(t *testing.T, pools [2]*store.Store) {
		u := mustUser(t, pools[0], "17", "jane")
		race(t, pools, func(round int) func(*store.Store) (bool, error) {
			hash := fmt.Sprint("code", round)
			must(t, pools[0].CreateCode(t.Context(), &store.Code{Hash: hash, UserID: u.ID, SignInID: session(t, pools[0], u), Expires: store.At(noon().Add(time.Minute))}))
			return func(s *store.Store) (bool, error) { return s.RedeemCode(t.Context(), grant(u, hash), noon()) }
		})
		devices, err := pools[1].Devices(t.Context(), u.ID, noon())
		if err != nil || len(devices) != 15 {
			t.Errorf("%d devices, want one a round; error %v", len(devices), err)
		}
	})
}

func TestOneRotatesARefreshToken(t *testing.T) {
	t.Parallel()
	twoPools(t, func(t *testing.T, pools [2]*store.Store) {
		u := mustUser(t, pools[0], "17", "jane")
		race(t, pools, func(int) func(*store.Store) (bool, error) {
			d, token := device(t, pools[0], u)
			return func(s *store.Store) (bool, error) {
				return s.Rotate(t.Context(), store.Rotation{
					Presented: secret.Hash(token), SealedAnswer: "x", IdleExpires: d.IdleExpires,
					Successor: store.RefreshToken{Hash: secret.ID("r"), DeviceID: d.ID, Expires: d.Expires},
					Access:    store.AccessToken{Hash: secret.ID("a"), UserID: u.ID, DeviceID: d.ID, Expires: d.Expires},
				}, noon())
			}
		})
	})
}

func TestOneUsesADeviceCode(t *testing.T) {
	t.Parallel()
	twoPools(t, func(t *testing.T, pools [2]*store.Store) {
		u := mustUser(t, pools[0], "17", "jane")
		create := func(hash string) {
			must(t, pools[0].CreateDeviceCode(t.Context(), &store.DeviceCode{
				Hash: hash, UserCodeHash: hash, ClientID: "c", Expires: store.At(noon().Add(time.Minute)), IntervalSeconds: 5,
			}))
		}
		// A yes and a no at once: one of them counts.
		race(t, pools, func(round int) func(*store.Store) (bool, error) {
			hash := fmt.Sprint("answer", round)
			create(hash)
			var n atomic.Int64
			return func(s *store.Store) (bool, error) {
				if n.Add(1)%2 == 0 {
					return s.DenyDeviceCode(t.Context(), hash, u.ID, noon())
				}
				return s.ApproveDeviceCode(t.Context(), hash, store.Approval{UserID: u.ID, SignInID: u.ID}, noon())
			}
		})
		race(t, pools, func(round int) func(*store.Store) (bool, error) {
			hash := fmt.Sprint("redeem", round)
			create(hash)
			session(t, pools[0], u)
			if won, err := pools[0].ApproveDeviceCode(t.Context(), hash, store.Approval{UserID: u.ID, SignInID: u.ID}, noon()); !won || err != nil {
				t.Fatalf("approval: %v, %v", won, err)
			}
			return func(s *store.Store) (bool, error) { return s.RedeemDeviceCode(t.Context(), grant(u, hash), noon()) }
		})
		// Polls at once: one is in time, the others are early.
		race(t, pools, func(round int) func(*store.Store) (bool, error) {
			hash := fmt.Sprint("poll", round)
			create(hash)
			return func(s *store.Store) (bool, error) {
				early, err := s.PollDeviceCode(t.Context(), hash, noon())
				return !early, err
			}
		})
	})
}

func TestOneEndsASignIn(t *testing.T) {
	t.Parallel()
	twoPools(t, func(t *testing.T, pools [2]*store.Store) {
		u := mustUser(t, pools[0], "17", "jane")
		end := store.At(noon().Add(time.Hour))
		race(t, pools, func(round int) func(*store.Store) (bool, error) {
			id := fmt.Sprint("sid", round)
			must(t, pools[0].CreateSignIn(t.Context(), &store.SignIn{ID: id, CookieHash: id, UserID: u.ID, IdleExpires: end, Expires: end}))
			must(t, pools[0].AddSignInClient(t.Context(), id, "app"))
			return func(s *store.Store) (bool, error) { return endSignIn(t, s, u, id) }
		})
		notices, err := pools[1].ClaimLogoutNotices(t.Context(), noon(), noon().Add(time.Minute), 100)
		if err != nil || len(notices) != 15 {
			t.Errorf("%d notices, want one a round; error %v", len(notices), err)
		}
	})
}

func TestOneClaimsANoticeALeaseAndAName(t *testing.T) {
	t.Parallel()
	twoPools(t, func(t *testing.T, pools [2]*store.Store) {
		u := mustUser(t, pools[0], "17", "jane")
		end := store.At(noon().Add(time.Hour))
		race(t, pools, func(round int) func(*store.Store) (bool, error) {
			id := fmt.Sprint("sid", round)
			must(t, pools[0].CreateSignIn(t.Context(), &store.SignIn{ID: id, CookieHash: id, UserID: u.ID, IdleExpires: end, Expires: end}))
			must(t, pools[0].AddSignInClient(t.Context(), id, "app"))
			if _, err := endSignIn(t, pools[0], u, id); err != nil {
				t.Fatal(err)
			}
			return func(s *store.Store) (bool, error) {
				mine, err := s.ClaimLogoutNotices(t.Context(), noon(), noon().Add(time.Hour), 10)
				return len(mine) == 1, err
			}
		})
		race(t, pools, func(round int) func(*store.Store) (bool, error) {
			return func(s *store.Store) (bool, error) {
				return s.AcquireLease(t.Context(), fmt.Sprint("lease", round), secret.ID("holder"), noon(), noon().Add(time.Minute))
			}
		})
		// Something that may be shown once, such as a signed assertion.
		race(t, pools, func(round int) func(*store.Store) (bool, error) {
			return func(s *store.Store) (bool, error) {
				counters, err := s.AddAttempts(t.Context(), []string{fmt.Sprint("once", round)}, noon(), time.Minute)
				return err == nil && counters[0].Tries == 1, err
			}
		})
		// The first sign-in of one person in several browsers makes one user.
		race(t, pools, func(round int) func(*store.Store) (bool, error) {
			return func(s *store.Store) (bool, error) {
				_, created, err := s.SignInUser(t.Context(), person(fmt.Sprint("s", round), fmt.Sprint("new", round)), noon())
				return created, err
			}
		})
	})
}

// TestARotationAndItsEventAreOne looks for the event of the one caller that won.
func TestARotationAndItsEventAreOne(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		u := mustUser(t, s, "17", "jane")
		d, token := device(t, s, u)
		for i := range 2 {
			r := rotation(d, token)
			r.Event = audit.Event{Name: audit.TokenIssued, Time: noon(), DeviceID: d.ID, TokenID: fmt.Sprint("jti", i), Address: "192.0.2.1"}
			if won, err := s.Rotate(t.Context(), r, noon()); err != nil || won != (i == 0) {
				t.Fatalf("rotation %d: %v, %v", i, won, err)
			}
		}
		events, err := s.AuditEvents(t.Context(), audit.TokenIssued, 10)
		if err != nil || len(events) != 1 || events[0].TokenID != "jti0" || events[0].Address != "192.0.2.1" || events[0].Time != store.At(noon()) {
			t.Errorf("events %+v, error %v", events, err)
		}
	})
}

// TestOneKeySigns activates two keys at once: the later one signs alone. A revoked key is not activated.
func TestOneKeySigns(t *testing.T) {
	t.Parallel()
	twoPools(t, func(t *testing.T, pools [2]*store.Store) {
		for round := range 15 {
			var keys [2]*store.SigningKey
			for i := range keys {
				keys[i] = &store.SigningKey{ID: fmt.Sprint("key", round, "-", i), Algorithm: "RS256", State: store.KeyNext}
				must(t, pools[0].AddKey(t.Context(), keys[i]))
			}
			var wg sync.WaitGroup
			start := make(chan struct{})
			for i := range keys {
				wg.Go(func() {
					<-start
					if err := pools[i].ActivateKey(t.Context(), keys[i], noon()); err != nil {
						t.Error(err)
					}
				})
			}
			close(start)
			wg.Wait()
			rows, err := pools[1].SigningKeys(t.Context())
			must(t, err)
			active := slices.DeleteFunc(rows, func(k store.SigningKey) bool { return k.State != store.KeyActive })
			if len(active) != 1 {
				t.Fatalf("round %d: %d keys are active", round, len(active))
			}
		}
		stolen := &store.SigningKey{ID: "stolen", Algorithm: "RS256", State: store.KeyNext}
		must(t, pools[0].AddKey(t.Context(), stolen))
		if revoked, err := pools[1].RevokeKey(t.Context(), stolen.ID, noon()); err != nil || !revoked {
			t.Fatalf("revoked %v, error %v", revoked, err)
		}
		if err := pools[0].ActivateKey(t.Context(), stolen, noon()); !errs.Is(err, errs.Conflict) {
			t.Errorf("activating a revoked key: %v", err)
		}
	})
}
