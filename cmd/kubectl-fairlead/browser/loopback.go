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
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/serverclient"
)

//go:embed result.html
var resultHTML string

// callbackResult is the result of the authorization request: a code or an error.
type callbackResult struct {
	code string
	err  error
}

// signInWithLoopback opens the browser and waits for its redirect to a loopback address.
func signInWithLoopback(ctx context.Context, cfg Config) (serverclient.Tokens, error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return serverclient.Tokens{}, fmt.Errorf("listening on a loopback port for the browser: %w", err)
	}
	verifier, state := rand.Text()+rand.Text(), rand.Text()
	sum := sha256.Sum256([]byte(verifier))
	redirect := "http://" + ln.Addr().String() + "/callback"
	results := make(chan callbackResult, 1)
	srv := &http.Server{Handler: callbackHandler(cfg.Server.Base(), state, results), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = srv.Serve(ln) }()
	defer shutDown(context.WithoutCancel(ctx), srv)

	address := cfg.Server.AuthorizationURL(serverclient.AuthorizationRequest{
		RedirectURI: redirect, State: state, Challenge: base64.RawURLEncoding.EncodeToString(sum[:]),
		Host: cfg.Host, PromptLogin: cfg.PromptLogin,
	})
	if err := cfg.Open(ctx, address); err != nil {
		fmt.Fprintf(cfg.Out, "The browser could not be opened: %v.\nOpen this page yourself, or run the command again with --device:\n\n  %s\n\n", err, address)
	} else {
		fmt.Fprintf(cfg.Out, "Your browser opens to sign in to %s.\nIf it does not, open this page:\n\n  %s\n\n", cfg.Server.Base(), address)
	}
	readPastedAddress(ctx, cfg, pasteTarget{state: state, redirect: redirect, results: results})
	fmt.Fprintf(cfg.Out, "Waiting up to %s for you to sign in. Press Ctrl-C to cancel.\n", minutes(cfg.Timeout))
	select {
	case <-ctx.Done():
		return serverclient.Tokens{}, fmt.Errorf("you did not finish it in the browser within %s", minutes(cfg.Timeout))
	case r := <-results:
		if r.err != nil {
			return serverclient.Tokens{}, r.err
		}
		return cfg.Server.ExchangeCode(ctx, r.code, redirect, verifier)
	}
}

// shutDown stops the server after the result page has been sent.
func shutDown(ctx context.Context, srv *http.Server) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if srv.Shutdown(ctx) != nil {
		_ = srv.Close()
	}
}

type resultPage struct{ Heading, Text string }

// callbackHandler serves the redirect URI. Other programs on this computer can call it too;
// without the state, a request changes nothing.
func callbackHandler(issuer, state string, results chan<- callbackResult) http.Handler {
	page := template.Must(template.New("result").Parse(resultHTML))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /callback", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'sha256-"+styleHash()+"'; frame-ancestors 'none'; base-uri 'none'")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Referrer-Policy", "no-referrer")
		result, err := parseCallback(r.URL.Query(), issuer, state)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			_ = page.Execute(w, resultPage{"This page belongs to another sign-in", "Go back to the terminal and run the command again."})
			return
		}
		shown := resultPage{"You are signed in", "kubectl continues in the terminal. You can close this window."}
		if result.err != nil {
			shown = resultPage{"You are not signed in", failureText(result.err)}
		}
		_ = page.Execute(w, shown)
		deliver(results, result)
	})
	return mux
}

func failureText(err error) string {
	if errors.Is(err, ErrCancelled) {
		return "You cancelled the sign-in. Run the command in the terminal again to sign in."
	}
	return err.Error()
}

// styleHash is the hash of the page's style sheet, which the content security policy allows.
func styleHash() string {
	_, rest, _ := strings.Cut(resultHTML, "<style>")
	style, _, _ := strings.Cut(rest, "</style>")
	sum := sha256.Sum256([]byte(style))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// errOtherSignIn means that a callback has the state or issuer of another sign-in.
var errOtherSignIn = errors.New("it belongs to another sign-in")

// parseCallback parses the query of the redirect URI (RFC 6749 section 4.1.2, RFC 9207).
func parseCallback(q url.Values, issuer, state string) (callbackResult, error) {
	if subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(state)) != 1 || q.Get("iss") != issuer {
		return callbackResult{}, errOtherSignIn
	}
	if q.Get("error") != "" || q.Get("code") == "" {
		return callbackResult{err: authorizationError(q.Get("error"), q.Get("error_description"))}, nil
	}
	return callbackResult{code: q.Get("code")}, nil
}

// deliver sends the first result. It drops later ones, from a reloaded page.
func deliver(results chan<- callbackResult, r callbackResult) {
	select {
	case results <- r:
	default:
	}
}

func authorizationError(code, text string) error {
	if code == "access_denied" && text == "" {
		return ErrCancelled
	}
	if text == "" {
		text = "The server sent no authorization code."
	}
	return &serverclient.RefusedError{Code: code, Text: text}
}
