package connectortest

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/connectors"
)

// Answer is what an upstream answers at a renewal, in the words of the real product.
type Answer struct {
	// Name says what happened at the upstream.
	Name string
	Want connectors.Outcome
	// Path is a part of the address of the request that gets this answer.
	Path   string
	Status int
	Header map[string]string
	Body   string
	// Expired ends the kept access token first.
	Expired bool
	// Kept, when set, replaces what the connector kept of the sign-in.
	Kept string
	// Do, when set, changes the upstream itself; the other fields don't count.
	Do func(*Harness)
}

// Unreachable is the answer of an upstream that is not there. It counts for every request.
var Unreachable = Answer{Name: "connection refused", Want: connectors.OutcomeUnavailable}

// NothingToAskWith is a renewal without a refresh token, after the access token has ended.
var NothingToAskWith = Answer{Name: "no token to ask with", Want: connectors.OutcomeUnconfirmed, Kept: `{"access_token":"a","token_type":"Bearer","expiry":"2020-01-01T00:00:00Z"}`}

// Outcomes checks what a connector makes of each answer of its upstream at a renewal.
// Each outcome of a renewal must have an answer, or a reason why it can't happen. fresh
// opens the connector with the transport.
func Outcomes(t *testing.T, fresh func(t *testing.T, upset *Upset) *Harness, answers []Answer, impossible map[connectors.Outcome]string) {
	t.Helper()
	covered := map[connectors.Outcome][]string{}
	for _, answer := range answers {
		covered[answer.Want] = append(covered[answer.Want], answer.Name)
		t.Run(answer.Name, func(t *testing.T) {
			t.Parallel()
			upset := &Upset{}
			h := fresh(t, upset)
			id := signIn(t, h)
			if answer.Expired {
				id.Data = expire(t, id.Data)
			}
			if answer.Kept != "" {
				id.Data = []byte(answer.Kept)
			}
			if answer.Do != nil {
				answer.Do(h)
			} else {
				upset.answer.Store(&answer)
			}
			got, err := refresher(t, h).Refresh(t.Context(), id)
			if got := outcome(err); got != answer.Want {
				t.Errorf("%q (%v), want %q", got, err, answer.Want)
			}
			checkWords(t, err)
			if answer.passes() {
				upset.answer.Store(nil)
				renewsAfterwards(t, h, id, got)
			}
		})
	}
	for _, o := range renewalOutcomes {
		if len(covered[o]) == 0 && impossible[o] == "" {
			t.Errorf("no answer leads to %q, and no reason says why", o)
		}
		t.Logf("| %s | %s%s |", o, strings.Join(covered[o], "; "), impossible[o])
	}
}

// passes reports whether the answer is about a passing fault, not about the account.
func (a Answer) passes() bool {
	return a.Do == nil && a.Kept == "" && a.Want != connectors.OutcomeDenied
}

// renewsAfterwards checks that the upstream confirms the account once it answers as usual again. A provider may have
// replaced its refresh token in the renewal that failed: then the connector returned what replaces the kept data.
func renewsAfterwards(t *testing.T, h *Harness, last, failed connectors.Identity) {
	t.Helper()
	if len(failed.Data) > 0 {
		last.Data = failed.Data
	}
	if _, err := refresher(t, h).Refresh(t.Context(), last); err != nil {
		t.Errorf("the next renewal: %v", err)
	}
}

// renewalOutcomes are those that a renewal can have.
var renewalOutcomes = []connectors.Outcome{
	connectors.OutcomeDenied, connectors.OutcomeSignInAgain, connectors.OutcomeUnavailable,
	connectors.OutcomeMisconfigured, connectors.OutcomeUnusableIdentity, connectors.OutcomeUnconfirmed,
}

// checkWords checks that a misconfigured connector says what to do about it.
func checkWords(t *testing.T, err error) {
	t.Helper()
	e, ok := errors.AsType[*connectors.Error](err)
	if ok && e.Outcome == connectors.OutcomeMisconfigured && (e.Reason == "" || e.Remedy == "") {
		t.Errorf("%v has no reason or no remedy", err)
	}
}

func outcome(err error) connectors.Outcome {
	if err == nil {
		return ""
	}
	return connectors.OutcomeOf(err)
}

// Upset is a transport that answers some requests in the upstream's place.
type Upset struct {
	// Base gets the other requests; http.DefaultTransport when nil.
	Base   http.RoundTripper
	answer atomic.Pointer[Answer]
}

// RoundTrip implements http.RoundTripper.
func (u *Upset) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := u.answer.Load()
	if answer == nil || !strings.Contains(r.URL.String(), answer.Path) {
		if u.Base != nil {
			return u.Base.RoundTrip(r)
		}
		return http.DefaultTransport.RoundTrip(r)
	}
	if answer.Status == 0 {
		return nil, errors.New("connection refused")
	}
	header := http.Header{"Content-Type": {"application/json"}}
	for name, value := range answer.Header {
		header.Set(name, value)
	}
	return &http.Response{
		StatusCode: answer.Status, Status: http.StatusText(answer.Status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(strings.NewReader(answer.Body)), ContentLength: int64(len(answer.Body)), Request: r,
	}, nil
}

// expire ends the OAuth token that a connector keeps in its data, so that the next
// renewal begins at the token endpoint.
func expire(t *testing.T, data []byte) []byte {
	t.Helper()
	var kept map[string]any
	if err := json.Unmarshal(data, &kept); err != nil {
		t.Fatalf("the connector keeps no JSON: %v", err)
	}
	kept["expiry"] = time.Now().Add(-time.Hour)
	if token, ok := kept["refresh_token"].(string); ok && token == "" || kept["refresh_token"] == nil {
		kept["refresh_token"] = "given" // some products give one, some don't, depending on settings
	}
	changed, err := json.Marshal(kept)
	if err != nil {
		t.Fatal(err)
	}
	return changed
}
