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

// testLife is how long a test sign-in may take, and how long its result is stored.
const testLife = 15 * time.Minute

// BeginTest stores unsaved settings for a test sign-in in this browser, and returns the id of the test.
func (a *Admin) BeginTest(ctx context.Context, c Caller, t ConnectorDraft) (string, error) {
	if err := a.authorize(ctx, c, WriteSettings, "test connector "+t.ID); err != nil {
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

// OpenTestConnector opens the connector of a test that this browser started.
func (a *Admin) OpenTestConnector(ctx context.Context, c Caller, id string) (*store.Connector, connectors.Connector, error) {
	row, _, err := a.test(ctx, c, id)
	if err != nil {
		return nil, nil, err
	}
	opened, err := a.Upstream.OpenDraft(ctx, row)
	return row, opened, err
}

func (a *Admin) test(ctx context.Context, c Caller, id string) (*store.Connector, *store.ConnectorTest, error) {
	if err := a.authorize(ctx, c, WriteSettings, "test sign-in "+id); err != nil {
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

// FinishTest stores the result of a test sign-in. The user of the test gets no session, and no row in the table of
// users. The result has what the upstream said about the user, if the context observed it.
func (a *Admin) FinishTest(ctx context.Context, c Caller, id string, said connectors.Identity, fault error) error {
	row, test, err := a.test(ctx, c, id)
	if err != nil {
		return err
	}
	result, err := a.outcome(ctx, row, said, fault)
	if err != nil {
		return err
	}
	result.Attributes = connectors.Observed(ctx)
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

func (a *Admin) outcome(ctx context.Context, row *store.Connector, said connectors.Identity, fault error) (*LookupResult, error) {
	if fault != nil {
		return a.failed(row, fault, a.Now()), nil
	}
	return a.lookupResult(ctx, row, said)
}

// TestSignIn is a test with its result.
type TestSignIn struct {
	ConnectorID, Name string
	// Result is nil until the test sign-in has finished.
	Result *LookupResult
}

// TestResult returns a test with its result.
func (a *Admin) TestResult(ctx context.Context, c Caller, id string) (*TestSignIn, error) {
	row, test, err := a.test(ctx, c, id)
	if err != nil {
		return nil, err
	}
	t := &TestSignIn{ConnectorID: row.ID, Name: row.Name}
	if test.Result == "" {
		return t, nil
	}
	t.Result = &LookupResult{}
	if err := json.Unmarshal([]byte(test.Result), t.Result); err != nil {
		return nil, fmt.Errorf("reading result: %w", err)
	}
	return t, nil
}

// TestSignIns passes the results of test sign-ins from the sign-in pages to Admin.
type TestSignIns struct{ Admin *Admin }

func browser(by session.Caller) Caller {
	return Caller{User: by.Current.User, SignIn: by.Current.SignIn, Address: by.Address}
}

// TestConnector calls Admin.OpenTestConnector for a browser.
func (t TestSignIns) TestConnector(ctx context.Context, by session.Caller, id string) (*store.Connector, connectors.Connector, error) {
	return t.Admin.OpenTestConnector(ctx, browser(by), id)
}

// FinishTest calls Admin.FinishTest for a browser.
func (t TestSignIns) FinishTest(ctx context.Context, by session.Caller, id string, said connectors.Identity, fault error) error {
	return t.Admin.FinishTest(ctx, browser(by), id, said, fault)
}
