package proxybench_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/plugin/pkg/authenticator/token/oidc"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/transport"
)

// serve runs one of the parts until standard input ends.
func serve(kind string) error {
	handler, err := map[string]func() (http.Handler, error){"stub": stub, "bare": bare, "peer": peer}[kind]()
	if err != nil {
		return err
	}
	cert, err := tls.LoadX509KeyPair(os.Getenv("BENCH_CERT"), os.Getenv("BENCH_KEY"))
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := &http.Server{
		Handler: handler, ReadHeaderTimeout: 30 * time.Second, HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 1000},
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}},
	}
	go func() { _ = srv.ServeTLS(ln, "", "") }()
	fmt.Println(ln.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
	return srv.Close()
}

// Sizes of the stub's answers, in bytes.
const (
	small  = 2 << 10
	medium = 100 << 10
	large  = 5 << 20
)

// stub answers as an API server would, without doing anything for it.
func stub() (http.Handler, error) {
	bodies := map[string][]byte{}
	for path, size := range map[string]int{"small": small, "medium": medium, "large": large} {
		bodies[path] = bytes.Repeat([]byte(`{"kind":"Pod","metadata":{"name":"a"}}`+"\n"), size/39)
	}
	mux := http.NewServeMux()
	var posts atomic.Int64
	mux.HandleFunc("/api/v1/namespaces/demo/pods/{name}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Method == http.MethodPost {
			_, _ = io.Copy(io.Discard, r.Body)
			if posts.Add(1)%50 == 0 { // as --goaway-chance=0.02
				w.Header().Set("Connection", "close")
			}
		}
		_, _ = w.Write(bodies[r.PathValue("name")])
	})
	mux.HandleFunc("/api/v1/pods", watch)
	mux.HandleFunc("/api/v1/namespaces/demo/pods/a/portforward", echo)
	return mux, nil
}

// watch sends an event with the time of sending fifty times a second, or none.
func watch(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	flush := http.NewResponseController(w)
	_ = flush.Flush()
	if r.URL.Query().Get("labelSelector") != "busy" {
		<-r.Context().Done()
		return
	}
	for r.Context().Err() == nil {
		if _, err := fmt.Fprintf(w, "%d\n", time.Now().UnixNano()); err != nil {
			return
		}
		_ = flush.Flush()
		time.Sleep(20 * time.Millisecond)
	}
}

func echo(w http.ResponseWriter, r *http.Request) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", r.Header.Get("Upgrade"))
	_, _ = io.Copy(conn, buffered)
}

// upstream is what the parts in between forward to, and with which credential.
func upstream() (*rest.Config, *url.URL, error) {
	cfg, err := clientcmd.BuildConfigFromFlags("", os.Getenv("BENCH_KUBECONFIG"))
	if err != nil {
		return nil, nil, err
	}
	to, err := url.Parse(cfg.Host)
	return cfg, to, err
}

// bare is a reverse proxy that checks nothing and has a large pool.
func bare() (http.Handler, error) {
	cfg, to, err := upstream()
	if err != nil {
		return nil, err
	}
	tlsConfig, err := rest.TLSConfigFor(cfg)
	if err != nil {
		return nil, err
	}
	return &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(to) },
		Transport: &http.Transport{TLSClientConfig: tlsConfig, MaxIdleConnsPerHost: 256, DisableCompression: true},
	}, nil
}

// keys is a key set that is known from the start.
type keys struct{ set jose.JSONWebKeySet }

// VerifySignature implements the key set of the API server's authenticator.
func (k keys) VerifySignature(_ context.Context, token string) ([]byte, error) {
	parsed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256, jose.ES256})
	if err != nil {
		return nil, err
	}
	for _, key := range k.set.Key(parsed.Signatures[0].Header.KeyID) {
		return parsed.Verify(key.Key)
	}
	return nil, errors.New("no such key")
}

// peer is built as kube-oidc-proxy is: the API server's authenticator at every request, a
// reverse proxy with client-go's impersonation below it, and Go's own transport, which keeps
// two idle connections.
func peer() (http.Handler, error) {
	cfg, to, err := upstream()
	if err != nil {
		return nil, err
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(os.Getenv("BENCH_KEYS")), &set); err != nil {
		return nil, err
	}
	none := ""
	authenticator, err := oidc.New(context.Background(), oidc.Options{
		KeySet: keys{set}, SupportedSigningAlgs: []string{"RS256", "ES256"}, Client: http.DefaultClient,
		JWTAuthenticator: apiserver.JWTAuthenticator{
			Issuer: apiserver.Issuer{URL: os.Getenv("BENCH_ISSUER"), Audiences: []string{"k8s-bench"}},
			ClaimMappings: apiserver.ClaimMappings{
				Username: apiserver.PrefixedClaimOrExpression{Claim: "preferred_username", Prefix: &none}, Groups: apiserver.PrefixedClaimOrExpression{Claim: "groups", Prefix: &none},
			},
		},
	})
	if err != nil {
		return nil, err
	}
	tlsConfig, err := rest.TLSConfigFor(cfg)
	if err != nil {
		return nil, err
	}
	base, err := rest.HTTPWrappersForConfig(cfg, &http.Transport{TLSClientConfig: tlsConfig})
	if err != nil {
		return nil, err
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.FlushInterval = 50 * time.Millisecond
	proxy.Transport = impersonating{base}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		said, ok, err := authenticator.AuthenticateToken(r.Context(), token)
		if err != nil || !ok {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		r.Header.Del("Authorization")
		proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), who{}, said.User)))
	}), nil
}

type who struct{}

type impersonating struct{ base http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (i impersonating) RoundTrip(r *http.Request) (*http.Response, error) {
	u, ok := r.Context().Value(who{}).(user.Info)
	if !ok {
		return nil, errors.New("nobody")
	}
	cfg := transport.ImpersonationConfig{UserName: u.GetName(), Groups: append(u.GetGroups(), "system:authenticated"), Extra: u.GetExtra()}
	return transport.NewImpersonatingRoundTripper(cfg, i.base).RoundTrip(r)
}

func number(text string) float64 {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0
	}
	return n
}
