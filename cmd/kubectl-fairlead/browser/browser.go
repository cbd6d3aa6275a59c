// Package browser lets a person sign in: with a browser here, which comes back on
// loopback; with one elsewhere, whose last address is pasted; or with a code that is typed
// on any screen.
package browser

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"runtime"
	"time"

	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/serverclient"
)

//go:embed result.html
var resultHTML string

// Config is how to sign in.
type Config struct {
	Server *serverclient.Server
	// Host is the name of this computer, for the device list.
	Host string
	// OtherUser asks for a fresh sign-in.
	OtherUser bool
	// Open opens an address in the browser.
	Open func(ctx context.Context, address string) error
	// Way is how; a browser here when it is empty.
	Way Way
	// Out is where people read what happens, In where they type.
	Out io.Writer
	In  io.Reader
}

// ErrCancelled says that the person said no on the page.
var ErrCancelled = errors.New("the sign-in was cancelled in the browser")

type outcome struct {
	code string
	err  error
}

// SignIn waits for the person until ctx ends.
func SignIn(ctx context.Context, cfg Config) (serverclient.Grant, error) {
	if cfg.Way == ByCode {
		return byCode(ctx, cfg)
	}
	return here(ctx, cfg)
}

// here opens a browser, or says what to open.
func here(ctx context.Context, cfg Config) (serverclient.Grant, error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return serverclient.Grant{}, fmt.Errorf("listening on loopback: %w", err)
	}
	verifier, state := rand.Text()+rand.Text(), rand.Text()
	sum := sha256.Sum256([]byte(verifier))
	redirect := "http://" + ln.Addr().String() + "/callback"
	done := make(chan outcome, 1)
	srv := &http.Server{Handler: callback(cfg.Server.Base(), state, done), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = srv.Serve(ln) }()
	defer stop(context.WithoutCancel(ctx), srv)

	address := cfg.Server.AuthURL(serverclient.Authorization{
		RedirectURI: redirect, State: state, Challenge: base64.RawURLEncoding.EncodeToString(sum[:]),
		Host: cfg.Host, OtherUser: cfg.OtherUser,
	})
	fmt.Fprintf(cfg.Out, "Sign in with your browser:\n\n  %s\n\n", address)
	if err := cfg.Open(ctx, address); err != nil {
		fmt.Fprintln(cfg.Out, "The browser could not be opened. Open the address above yourself, or run the command again with --device.")
	}
	pasted(ctx, cfg, state, done)
	select {
	case <-ctx.Done():
		return serverclient.Grant{}, fmt.Errorf("nobody signed in in the browser: %w", ctx.Err())
	case o := <-done:
		if o.err != nil {
			return serverclient.Grant{}, o.err
		}
		return cfg.Server.Redeem(ctx, o.code, redirect, verifier)
	}
}

// stop lets the page with the result still be sent.
func stop(ctx context.Context, srv *http.Server) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if srv.Shutdown(ctx) != nil {
		_ = srv.Close()
	}
}

type page struct{ Heading, Text string }

// callback takes the answer. Another program on this computer can knock here
// too: without the state it gets nothing and changes nothing.
func callback(issuer, state string, done chan<- outcome) http.Handler {
	result := template.Must(template.New("result").Parse(resultHTML))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /callback", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'sha256-"+styleHash()+"'; frame-ancestors 'none'; base-uri 'none'")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Referrer-Policy", "no-referrer")
		o, err := answered(q, issuer, state)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			_ = result.Execute(w, page{"This is not the sign-in that was started", "Go back to the terminal and start again."})
			return
		}
		shown := page{"You are signed in", "kubectl goes on in the terminal. You can close this window."}
		if o.err != nil {
			shown = page{"Not signed in", o.err.Error()}
		}
		_ = result.Execute(w, shown)
		offer(done, o)
	})
	return mux
}

// errForeign says that an answer belongs to no sign-in of ours.
var errForeign = errors.New("it is not that of this sign-in")

// answered reads what the browser came back with (RFC 6749 section 4.1.2, RFC 9207).
func answered(q url.Values, issuer, state string) (outcome, error) {
	if subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(state)) != 1 || q.Get("iss") != issuer {
		return outcome{}, errForeign
	}
	if q.Get("error") != "" || q.Get("code") == "" {
		return outcome{err: refusal(q.Get("error"), q.Get("error_description"))}, nil
	}
	return outcome{code: q.Get("code")}, nil
}

// offer gives the first outcome; later ones are the page that was loaded again.
func offer(done chan<- outcome, o outcome) {
	select {
	case done <- o:
	default:
	}
}

func refusal(code, text string) error {
	if code == "access_denied" && text == "" {
		return ErrCancelled
	}
	if text == "" {
		text = "The server sent no code."
	}
	return &serverclient.RefusedError{Code: code, Text: text}
}

// Open opens an address with what the system has for it. The environment
// variable BROWSER, when set, names the program.
func Open(program string) func(ctx context.Context, address string) error {
	return func(_ context.Context, address string) error {
		name, args := opener(runtime.GOOS, program)
		// Not bound to a context: the browser must outlive us.
		cmd := exec.Command(name, append(args, address)...) //nolint:gosec,noctx // the person's own choice of program
		if err := cmd.Start(); err != nil {
			return fmt.Errorf("opening browser: %w", err)
		}
		go func() { _ = cmd.Wait() }()
		return nil
	}
}

func opener(system, program string) (name string, args []string) {
	switch {
	case program != "":
		return program, nil
	case system == "linux" && isWSL():
		return "rundll32.exe", []string{"url.dll,FileProtocolHandler"}
	case system == "darwin":
		return "open", nil
	case system == "windows":
		// Not "cmd /c start": it would take an ampersand for a second command.
		return "rundll32", []string{"url.dll,FileProtocolHandler"}
	}
	return "xdg-open", nil
}
