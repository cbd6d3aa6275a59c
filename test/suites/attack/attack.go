// Package attack sends hostile requests through an impersonating proxy and looks at who
// arrives behind it. It knows nothing of ours: any proxy in front of Kubernetes can be
// attacked, as long as its upstream is the suite's own (see run).
package attack

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Suite attacks one proxy.
type Suite struct {
	// Address is the proxy's host and port; it speaks TLS.
	Address string
	// Token is a valid token of a user without rights.
	Token string
	// Upstream is what the proxy forwards to.
	Upstream *Upstream
	// Each, when set, is told of each attack over HTTP/1.1 and how it was answered.
	OnAnswer func(name, answer string)

	expected map[string][]string
}

// Finding is an attack that got through.
type Finding struct{ Attack, Detail string }

// String says what happened.
func (f Finding) String() string { return f.Attack + ": " + f.Detail }

// Result is what came of it.
type Result struct {
	Attacks, Arrived int
	Findings         []Finding
}

// Run sends every attack over a connection of its own.
func (s *Suite) Run() (Result, error) {
	var result Result
	if err := s.learnIdentity(); err != nil {
		return result, err
	}
	for _, a := range requests() {
		answer, err := s.send(a.request)
		if err != nil {
			return result, err
		}
		if s.OnAnswer != nil {
			s.OnAnswer(a.Name, answer)
		}
		s.checkArrivals(a.Name, &result)
	}
	for _, f := range frameAttacks() {
		if err := s.sendFrames(f); err != nil {
			return result, err
		}
		s.checkArrivals("frames: "+f.name, &result)
	}
	return result, nil
}

// learn sends a good request: what arrives is who the token's owner is.
func (s *Suite) learnIdentity() error {
	s.Upstream.TakeArrivals()
	if _, err := s.send("GET /api/v1/pods HTTP/1.1\nHost: x\nAuthorization: Bearer TOKEN\n\n"); err != nil {
		return err
	}
	arrived := s.Upstream.TakeArrivals()
	if len(arrived) != 1 {
		return fmt.Errorf("a good request arrives %d times: is the proxy's upstream this suite, and the token good?", len(arrived))
	}
	if s.expected = identity(arrived[0].Header); len(s.expected["Impersonate-User"]) != 1 {
		return fmt.Errorf("a good request arrives with Impersonate-User %q: the proxy does not impersonate", s.expected["Impersonate-User"])
	}
	return nil
}

// identity are the headers that say who a request is from.
func identity(h http.Header) map[string][]string {
	out := map[string][]string{}
	for name, values := range h {
		folded := strings.ReplaceAll(strings.ToLower(name), "_", "-")
		for strings.Contains(folded, "--") {
			folded = strings.ReplaceAll(folded, "--", "-")
		}
		if strings.HasPrefix(folded, "impersonate") || strings.HasPrefix(folded, "x-remote") || folded == "authorization" {
			out[name] = values
		}
	}
	return out
}

// look compares the user that arrived with the expected one.
func (s *Suite) checkArrivals(name string, result *Result) {
	result.Attacks++
	for _, r := range s.Upstream.TakeArrivals() {
		result.Arrived++
		if got := identity(r.Header); !maps.EqualFunc(got, s.expected, slices.Equal) {
			result.Findings = append(result.Findings, Finding{name, fmt.Sprintf("arrived as %q, a good request as %q", got, s.expected)})
		}
		if strings.Contains(r.URI, "smuggled") {
			result.Findings = append(result.Findings, Finding{name, "the hidden request arrived"})
		}
	}
}

// send writes a request as it is and returns what came back, or as much as came at once.
func (s *Suite) send(request string) (string, error) {
	conn, err := tls.Dial("tcp", s.Address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	if err != nil {
		return "", fmt.Errorf("connecting: %w", err)
	}
	defer conn.Close()
	raw := strings.ReplaceAll(strings.ReplaceAll(request, "TOKEN", s.Token), "\n", "\r\n")
	raw = strings.ReplaceAll(raw, "\\n", "\n")
	if _, err := io.WriteString(conn, raw); err != nil {
		return "", nil
	}
	_ = conn.SetReadDeadline(time.Now().Add(2 * time.Second))
	var answer strings.Builder
	buffer := make([]byte, 16<<10)
	for {
		n, err := conn.Read(buffer)
		answer.Write(buffer[:n])
		if err != nil {
			return answer.String(), nil
		}
		if n > 0 { // a whole answer is small here; more comes only for a second request
			_ = conn.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
		}
	}
}

// Arrival is a request as it came to the upstream.
type Arrival struct {
	URI    string
	Header http.Header
}

// Upstream is an API server that lets everybody in and remembers who came. It says yes to
// every question about rights, as one would whose admins gave the proxy too many.
type Upstream struct {
	mu       sync.Mutex
	arrivals []Arrival
}

// Note remembers a request.
func (u *Upstream) Record(r *http.Request) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.arrivals = append(u.arrivals, Arrival{r.RequestURI, r.Header.Clone()})
}

// Take returns what has arrived since it was asked last.
func (u *Upstream) TakeArrivals() []Arrival {
	u.mu.Lock()
	defer u.mu.Unlock()
	list := u.arrivals
	u.arrivals = nil
	return list
}

// ServeHTTP implements http.Handler. Reviews are questions of the proxy itself.
func (u *Upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if strings.HasSuffix(r.URL.Path, "/selfsubjectrulesreviews") { // what it asks once, when it starts
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"kind":"SelfSubjectRulesReview","apiVersion":"authorization.k8s.io/v1","status":{"incomplete":true}}`)
		return
	}
	if strings.HasSuffix(r.URL.Path, "subjectaccessreviews") {
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"kind":"SubjectAccessReview","apiVersion":"authorization.k8s.io/v1","status":{"allowed":false}}`)
		return
	}
	u.Record(r)
	_, _ = fmt.Fprintf(w, `{"kind":"PodList","apiVersion":"v1","items":[],"length":%d}`, len(body))
}
