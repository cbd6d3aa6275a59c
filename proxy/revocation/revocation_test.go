package revocation_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/proxy/authn"
	"github.com/fairlead-auth/fairlead/proxy/revocation"
	"github.com/fairlead-auth/fairlead/proxy/status"
)

func issued() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

func identity(uid, device, signIn string) *authn.Identity {
	return &authn.Identity{User: uid, UID: uid, Device: device, SignIn: signIn, Issued: issued()}
}

func revoke(kind revocation.Kind, value string, after time.Duration) revocation.Revocation {
	return revocation.Revocation{Kind: kind, Value: value, At: issued().Add(after), Until: issued().Add(time.Hour)}
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	jane, browser := identity("u1", "d1", "s1"), identity("u1", "", "s1")
	for name, c := range map[string]struct {
		r    revocation.Revocation
		id   *authn.Identity
		ends bool
	}{
		"the user":                             {revoke(revocation.User, "u1", time.Minute), jane, true},
		"another user":                         {revoke(revocation.User, "u2", time.Minute), jane, false},
		"the device":                           {revoke(revocation.Device, "d1", time.Minute), jane, true},
		"another device":                       {revoke(revocation.Device, "d2", time.Minute), jane, false},
		"the sign-in of a token with a device": {revoke(revocation.SignIn, "s1", time.Minute), jane, false},
		"the sign-in of a token without one":   {revoke(revocation.SignIn, "s1", time.Minute), browser, true},
		"before the token was issued":          {revoke(revocation.User, "u1", -time.Minute), jane, false},
		"the device, before it was issued":     {revoke(revocation.Device, "d1", -time.Minute), jane, true},
		"the sign-in, before it was issued":    {revoke(revocation.SignIn, "s1", -time.Minute), browser, true},
		"in the same second":                   {revoke(revocation.User, "u1", 0), jane, true},
		"an empty device":                      {revoke(revocation.Device, "", time.Minute), browser, false},
	} {
		var g revocation.Registry
		life, done, refusal := g.RegisterStream(t.Context(), c.id, time.Time{})
		if refusal != nil {
			t.Fatal(refusal)
		}
		n := g.Revoke(c.r)
		if ended := life.Err() != nil; ended != c.ends || (n == 1) != c.ends || (g.Check(c.id) != nil) != c.ends {
			t.Errorf("%s: ended %v, %d streams, then %v", name, ended, n, g.Check(c.id))
		}
		if cause, ok := errors.AsType[*status.Error](context.Cause(life)); c.ends && (!ok || cause.Message() == "") {
			t.Errorf("%s: no message: %v", name, context.Cause(life))
		}
		done()
		if g.OpenStreams() != 0 {
			t.Errorf("%s: %d are open", name, g.OpenStreams())
		}
	}
}

// TestConcurrentRevocation registers streams during a revocation: each is either refused or ended.
func TestConcurrentRevocation(t *testing.T) {
	t.Parallel()
	var g revocation.Registry
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			if i == 100 {
				g.Revoke(revoke(revocation.User, "u1", time.Minute))
				return
			}
			life, done, refusal := g.RegisterStream(context.WithoutCancel(t.Context()), identity("u1", fmt.Sprint("d", i), ""), time.Time{})
			if refusal != nil {
				return
			}
			defer done()
			select {
			case <-life.Done():
			case <-time.After(10 * time.Second):
				t.Error("a stream was left open")
			}
		})
	}
	wg.Wait()
}

func TestStreamExpiry(t *testing.T) {
	t.Parallel()
	var g revocation.Registry
	life, done, refusal := g.RegisterStream(t.Context(), identity("u1", "d1", ""), time.Now().Add(10*time.Millisecond))
	if refusal != nil {
		t.Fatal(refusal)
	}
	defer done()
	<-life.Done()
	if cause, ok := errors.AsType[*status.Error](context.Cause(life)); !ok || cause.Code != "stream_expired" {
		t.Errorf("it ended with %v", context.Cause(life))
	}
}

func TestRemoveExpired(t *testing.T) {
	t.Parallel()
	var g revocation.Registry
	g.Revoke(revoke(revocation.User, "u1", time.Minute), revoke(revocation.User, "u1", time.Second), revoke(revocation.User, "u2", time.Minute))
	if list := g.Revocations(); len(list) != 2 || !list[0].At.Equal(issued().Add(time.Minute)) {
		t.Errorf("%+v", list)
	}
	g.RemoveExpired(issued().Add(2 * time.Hour))
	if list := g.Revocations(); len(list) != 0 {
		t.Errorf("%+v", list)
	}
	_, done, _ := g.RegisterStream(t.Context(), identity("u1", "d1", ""), time.Time{})
	defer done()
	if people := g.UsersWithStreams(); len(people) != 1 || people[0] != "u1" {
		t.Errorf("%v", people)
	}
	if g.EndAllStreams(status.FeedStale(issued())) != 1 || g.OpenStreams() != 0 {
		t.Error("a stream was not ended")
	}
}

// TestStreamLimit checks that the limit is per user and that ended streams no longer count.
func TestStreamLimit(t *testing.T) {
	t.Parallel()
	g := revocation.Registry{MaxStreamsPerUser: 2}
	begin := func(uid string) (func(), *status.Error) {
		_, done, refusal := g.RegisterStream(t.Context(), &authn.Identity{UID: uid, User: uid, Issued: time.Now()}, time.Time{})
		return done, refusal
	}
	first, _ := begin("usr_1")
	second, _ := begin("usr_1")
	if _, refusal := begin("usr_1"); refusal == nil || refusal.HTTPStatus != 429 || refusal.Code != "too_many_streams" {
		t.Errorf("a third stream: %v", refusal)
	}
	if _, refusal := begin("usr_2"); refusal != nil {
		t.Errorf("another user: %v", refusal)
	}
	first()
	first() // a second call has no effect
	if _, refusal := begin("usr_1"); refusal != nil {
		t.Errorf("after one has ended: %v", refusal)
	}
	if _, refusal := begin("usr_1"); refusal == nil {
		t.Error("ending one made room for two")
	}
	second()
	// Streams that the proxy ended no longer count.
	g.EndAllStreams(status.FeedStale(issued()))
	for range 2 {
		if _, refusal := begin("usr_1"); refusal != nil {
			t.Errorf("after all were ended: %v", refusal)
		}
	}
	g.Revoke(revocation.Revocation{Kind: revocation.User, Value: "usr_1", At: time.Now(), Until: time.Now(), Reason: revocation.ReasonNoAccess})
	g.RestoreAccess("usr_1", time.Now())
	for range 2 {
		if _, refusal := begin("usr_1"); refusal != nil {
			t.Errorf("after the user's were ended: %v", refusal)
		}
	}
}

// TestDrain checks that Drain waits for streams that end in time, ends the others and refuses new ones.
func TestDrain(t *testing.T) {
	t.Parallel()
	g := revocation.Registry{}
	why := status.ProxyStopping()
	_, quick, _ := g.RegisterStream(t.Context(), identity("usr_1", "d", "s"), time.Time{})
	life, slow, _ := g.RegisterStream(t.Context(), identity("usr_2", "d", "s"), time.Time{})
	ctx, deadline := context.WithCancel(t.Context())
	drained := make(chan struct{})
	go func() { g.Drain(ctx, time.Minute, why); close(drained) }()
	quick()
	if life.Err() != nil {
		t.Error("a stream was ended before the deadline")
	}
	deadline()
	<-life.Done()
	if got := context.Cause(life); !errors.Is(got, why) {
		t.Errorf("ended because of %v", got)
	}
	select {
	case <-drained:
		t.Error("Drain did not wait for the handler")
	default:
	}
	slow()
	<-drained
	if _, _, refusal := g.RegisterStream(t.Context(), identity("usr_3", "d", "s"), time.Time{}); refusal != why {
		t.Errorf("a stream that begins after: %v", refusal)
	}
	empty := revocation.Registry{}
	empty.Drain(t.Context(), time.Minute, why)
}
