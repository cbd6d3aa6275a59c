package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/signin/session"
)

// testLife is how long a test sign-in may take, and its result is kept.
const testLife = 15 * time.Minute

// BeginTest keeps unsaved settings for a test sign-in in this browser, and returns
// its id.
func (a *Admin) BeginTest(ctx context.Context, c Caller, t Trying) (string, error) {
	if err := a.may(ctx, c, WriteSettings, "test connector "+t.ID); err != nil {
		return "", err
	}
	if c.SignIn == nil {
		return "", errs.New(errs.Invalid, "The test sign-in did not start: it needs a browser session. Open the connector in the admin pages and choose Test sign-in.")
	}
	row, err := a.draft(ctx, t)
	if err != nil {
		return "", err
	}
	input, err := json.Marshal(row)
	if err != nil {
		return "", fmt.Errorf("encoding test: %w", err)
	}
	test := &store.ConnectorTest{ConnectorID: row.ID, SignInID: c.SignIn.ID, Input: string(input), Expires: store.At(a.Now().Add(testLife))}
	if err := a.Store.CreateConnectorTest(ctx, test); err != nil {
		return "", err
	}
	return test.ID, nil
}

// Testing returns the connector of a test that this browser began, ready to sign
// somebody in.
func (a *Admin) Testing(ctx context.Context, c Caller, id string) (*store.Connector, connectors.Connector, error) {
	row, _, err := a.test(ctx, c, id)
	if err != nil {
		return nil, nil, err
	}
	opened, err := a.Upstream.OpenDraft(ctx, row)
	return row, opened, err
}

func (a *Admin) test(ctx context.Context, c Caller, id string) (*store.Connector, *store.ConnectorTest, error) {
	if err := a.may(ctx, c, WriteSettings, "test sign-in "+id); err != nil {
		return nil, nil, err
	}
	if c.SignIn == nil {
		return nil, nil, errs.New(errs.Invalid, "The test sign-in did not start: it needs a browser session. Open the connector in the admin pages and choose Test sign-in.")
	}
	test, err := a.Store.ConnectorTest(ctx, id, c.SignIn.ID, a.Now())
	if err != nil {
		return nil, nil, err
	}
	var row store.Connector
	if err := json.Unmarshal([]byte(test.Input), &row); err != nil {
		return nil, nil, fmt.Errorf("reading test: %w", err)
	}
	return &row, test, nil
}

// FinishTest takes what the upstream said in a test sign-in. Nobody is signed in
// and nothing is kept of the person but the result, for a while.
func (a *Admin) FinishTest(ctx context.Context, c Caller, id string, said connectors.Identity, fault error) error {
	row, test, err := a.test(ctx, c, id)
	if err != nil {
		return err
	}
	result, err := a.outcome(ctx, row, said, fault)
	if err != nil {
		return err
	}
	body, err := json.Marshal(result)
	if err != nil {
		return fmt.Errorf("encoding result: %w", err)
	}
	if err := a.Store.FinishConnectorTest(ctx, test.ID, string(body)); err != nil {
		return err
	}
	if result.Fault != "" {
		a.recordTest(ctx, c, row.ID, "sign_in", result.Fault)
		return nil
	}
	a.recordTest(ctx, c, row.ID, "sign_in", "passed as "+result.KubeName)
	return a.Store.MarkTested(ctx, row.ID, result.Revision)
}

func (a *Admin) outcome(ctx context.Context, row *store.Connector, said connectors.Identity, fault error) (*Found, error) {
	if fault != nil {
		return a.failed(row, fault, a.Now()), nil
	}
	return a.found(ctx, row, said)
}

// Tested is a test and what came of it.
type Tested struct {
	ConnectorID, Name string
	// Result is nil while nobody has signed in yet.
	Result *Found
}

// TestResult returns what came of a test.
func (a *Admin) TestResult(ctx context.Context, c Caller, id string) (*Tested, error) {
	row, test, err := a.test(ctx, c, id)
	if err != nil {
		return nil, err
	}
	t := &Tested{ConnectorID: row.ID, Name: row.Name}
	if test.Result == "" {
		return t, nil
	}
	t.Result = &Found{}
	if err := json.Unmarshal([]byte(test.Result), t.Result); err != nil {
		return nil, fmt.Errorf("reading result: %w", err)
	}
	return t, nil
}

// Tests lets the sign-in pages hand the answers to test sign-ins over.
type Tests struct{ Admin *Admin }

func browser(by session.Caller) Caller {
	return Caller{User: by.Current.User, SignIn: by.Current.SignIn, Address: by.Address}
}

// TestConnector is Admin.Testing for a browser.
func (t Tests) TestConnector(ctx context.Context, by session.Caller, id string) (*store.Connector, connectors.Connector, error) {
	return t.Admin.Testing(ctx, browser(by), id)
}

// FinishTest is Admin.FinishTest for a browser.
func (t Tests) FinishTest(ctx context.Context, by session.Caller, id string, said connectors.Identity, fault error) error {
	return t.Admin.FinishTest(ctx, browser(by), id, said, fault)
}
