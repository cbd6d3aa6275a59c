package local_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/connectortest"
	"github.com/fairlead-auth/fairlead/connectors/local"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/password"
)

// book is an honest little address book; the store's own is tested there.
type book struct {
	mu     sync.Mutex
	people map[string]local.Account
	broken error
}

func (b *book) find(match func(local.Account) bool) (local.Account, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.broken != nil {
		return local.Account{}, b.broken
	}
	for _, a := range b.people {
		if match(a) {
			return a, nil
		}
	}
	return local.Account{}, errs.New(errs.NotFound, "no such account")
}

func (b *book) AccountByLogin(_ context.Context, login string) (local.Account, error) {
	return b.find(func(a local.Account) bool { return strings.EqualFold(a.Login, login) })
}

func (b *book) AccountByID(ctx context.Context, id string) (local.Account, error) {
	if ctx.Err() != nil {
		return local.Account{}, ctx.Err()
	}
	return b.find(func(a local.Account) bool { return a.ID == id })
}

func (b *book) RenewPasswordHash(_ context.Context, id, old, renewed string) error {
	b.change(id, func(a *local.Account) {
		if a.PasswordHash == old {
			a.PasswordHash = renewed
		}
	})
	return nil
}

func (b *book) change(id string, change func(*local.Account)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.people[id]
	change(&a)
	b.people[id] = a
}

func setup(t *testing.T) (*book, *local.Connector) {
	t.Helper()
	hasher := password.NewHasher()
	hash, err := hasher.Hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	b := &book{people: map[string]local.Account{"loc_1": {
		ID: "loc_1", Login: "jane", Name: "Jane Doe", Email: "jane@example.test", Groups: []string{"dev"}, PasswordHash: hash,
	}}}
	c, err := local.Type(hasher).Config().Open(t.Context(), connectors.Env{Accounts: b, Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return b, c.(*local.Connector)
}

func TestContract(t *testing.T) {
	t.Parallel()
	connectortest.Run(t, func(t *testing.T) *connectortest.Harness {
		t.Helper()
		b, c := setup(t)
		return &connectortest.Harness{
			Connector: c,
			SignIn:    func(ctx context.Context) (connectors.Identity, error) { return c.Login(ctx, "jane", "correct horse") },
			Want: connectors.Identity{
				Subject: "loc_1", Username: "jane", Name: "Jane Doe", Email: "jane@example.test", EmailVerified: true, Groups: []string{"dev"},
			},
			Leave: func() { b.change("loc_1", func(a *local.Account) { a.Disabled = true }) },
			Break: func() {
				b.mu.Lock()
				defer b.mu.Unlock()
				b.broken = errs.New(errs.Unavailable, "database down")
			},
		}
	})
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	connectortest.Outcomes(t, func(t *testing.T, _ *connectortest.Upset) *connectortest.Harness {
		t.Helper()
		b, c := setup(t)
		return &connectortest.Harness{
			Connector: c,
			SignIn:    func(ctx context.Context) (connectors.Identity, error) { return c.Login(ctx, "jane", "correct horse") },
			Leave:     func() { b.change("loc_1", func(a *local.Account) { a.Disabled = true }) },
			Break: func() {
				b.mu.Lock()
				defer b.mu.Unlock()
				b.broken = errs.New(errs.Unavailable, "database down")
			},
		}
	}, []connectortest.Answer{
		{Name: "account disabled", Want: connectors.OutcomeDenied, Do: func(h *connectortest.Harness) { h.Leave() }},
		{Name: "database down", Want: connectors.OutcomeUnavailable, Do: func(h *connectortest.Harness) { h.Break() }},
	}, map[connectors.Outcome]string{
		connectors.OutcomeSignInAgain:      "an account is enabled or not",
		connectors.OutcomeMisconfigured:    "there is nothing to configure",
		connectors.OutcomeUnusableIdentity: "names and groups are checked when an account is saved",
		connectors.OutcomeUnconfirmed:      "the accounts are in Fairlead's own database",
	})
}

func TestPasswords(t *testing.T) {
	t.Parallel()
	_, c := setup(t)
	connectortest.Passwords(t, c, "jane", "correct horse")
}

func TestADisabledAccountLooksLikeAWrongPassword(t *testing.T) {
	t.Parallel()
	b, c := setup(t)
	b.change("loc_1", func(a *local.Account) { a.Disabled = true })
	if _, err := c.Login(t.Context(), "jane", "correct horse"); !errors.Is(err, connectors.ErrBadCredentials) {
		t.Errorf("Login = %v, want ErrBadCredentials", err)
	}
}

func TestAnImportedHashIsRenewed(t *testing.T) {
	t.Parallel()
	b, c := setup(t)
	legacy, err := bcrypt.GenerateFromPassword([]byte("imported one"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	b.change("loc_1", func(a *local.Account) { a.PasswordHash = string(legacy) })
	for range 2 {
		if _, err := c.Login(t.Context(), "jane", "imported one"); err != nil {
			t.Fatal(err)
		}
	}
	account, err := b.AccountByID(t.Context(), "loc_1")
	if err != nil || !strings.HasPrefix(account.PasswordHash, "$argon2id$") {
		t.Errorf("hash %q, error %v", account.PasswordHash, err)
	}
}

// TestUnknownNamesTakeAsLong shows by structure, not by the clock, that an
// unknown name and a disabled account cost a hash like a known one: with a context
// that has ended, the hasher returns an error instead.
func TestUnknownNamesTakeAsLong(t *testing.T) {
	t.Parallel()
	b, c := setup(t)
	off := b.people["loc_1"]
	off.ID, off.Login, off.Disabled = "loc_2", "off", true
	b.people["loc_2"] = off
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, name := range []string{"jane", "nobody", "off"} {
		if _, err := c.Login(ended, name, "correct horse"); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v: no hash was made", name, err)
		}
	}
}

// changing is a book in which the password changes while a sign-in checks it.
type changing struct{ *book }

func (b changing) AccountByLogin(ctx context.Context, login string) (local.Account, error) {
	account, err := b.book.AccountByLogin(ctx, login)
	b.change(account.ID, func(a *local.Account) { a.PasswordHash = "new" })
	return account, err
}

// TestAPasswordThatChangesDuringASignIn: the old password is of no use, and its renewed hash does not come back.
func TestAPasswordThatChangesDuringASignIn(t *testing.T) {
	t.Parallel()
	imported, err := bcrypt.GenerateFromPassword([]byte("correct horse"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	b := &book{people: map[string]local.Account{"loc_1": {ID: "loc_1", Login: "jane", PasswordHash: string(imported)}}}
	opened, err := local.Type(password.NewHasher()).Config().Open(t.Context(), connectors.Env{Accounts: changing{b}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	c, ok := opened.(*local.Connector)
	if !ok {
		t.Fatalf("%T", opened)
	}
	if _, err := c.Login(t.Context(), "jane", "correct horse"); !errors.Is(err, connectors.ErrBadCredentials) {
		t.Errorf("the old password: %v", err)
	}
	if after, err := b.AccountByID(t.Context(), "loc_1"); err != nil || after.PasswordHash != "new" {
		t.Errorf("the hash is %q, want the new one; error %v", after.PasswordHash, err)
	}
}
