// Package relyingparty provides a headless browser and an OAuth client for tests.
// Both talk to the provider over HTTP only.
package relyingparty

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"
)

// Selection is a part of a page.
type Selection = goquery.Selection

// maxRedirects bounds redirects.
const maxRedirects = 15

// Browser keeps cookies, follows redirects on one host, fills forms.
type Browser struct {
	t      testing.TB
	client *http.Client
	host   string
	// AlsoFollow is a further host that is followed: an upstream.
	AlsoFollow string
	// fetchSite is what the browser says of where a form comes from.
	fetchSite string
}

// NewBrowser returns a browser for the server at base. A nil transport is the
// default one.
func NewBrowser(t testing.TB, base string, transport http.RoundTripper) *Browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	return &Browser{t: t, host: u.Host, fetchSite: "same-origin", client: &http.Client{
		Jar: jar, Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Page is where the browser arrived. Left is set instead of the rest when the
// server sent it to another host.
type Page struct {
	Status       int
	URL          *url.URL
	Text         string
	Header       http.Header
	Doc          *goquery.Document
	RedirectedTo *url.URL
}

// Get opens an address.
func (b *Browser) Get(address string) *Page {
	b.t.Helper()
	return b.follow(http.MethodGet, address, nil)
}

// Post sends a form.
func (b *Browser) Post(address string, form url.Values) *Page {
	b.t.Helper()
	return b.follow(http.MethodPost, address, form)
}

func (b *Browser) follow(method, address string, form url.Values) *Page {
	b.t.Helper()
	for range maxRedirects {
		resp, body := b.SendOnce(method, address, form)
		location := resp.Header.Get("Location")
		if resp.StatusCode < 300 || resp.StatusCode > 399 || location == "" {
			return b.page(resp, body)
		}
		if resp.StatusCode == http.StatusTemporaryRedirect || resp.StatusCode == http.StatusPermanentRedirect {
			b.t.Fatalf("%s answered %d: that would send a password on", address, resp.StatusCode)
		}
		next, err := resp.Request.URL.Parse(location)
		if err != nil {
			b.t.Fatal(err)
		}
		if next.Host != b.host && (b.AlsoFollow == "" || next.Host != b.AlsoFollow) {
			return &Page{RedirectedTo: next, Status: resp.StatusCode, Header: resp.Header}
		}
		method, address, form = http.MethodGet, next.String(), nil
	}
	b.t.Fatalf("more than %d redirects, last to %s", maxRedirects, address)
	return nil
}

// WithFetchSite returns the same browser sending forms from another place, such as
// "cross-site" (Fetch Metadata, Sec-Fetch-Site).
func (b *Browser) WithFetchSite(site string) *Browser {
	other := *b
	other.fetchSite = site
	return &other
}

// Twin returns another browser with a copy of the cookies, as a thief would have.
func (b *Browser) Clone() *Browser {
	b.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, scheme := range []string{"https", "http"} {
		home := &url.URL{Scheme: scheme, Host: b.host, Path: "/"}
		for _, c := range b.client.Jar.Cookies(home) {
			jar.SetCookies(home, []*http.Cookie{{Name: c.Name, Value: c.Value, Path: "/", Secure: scheme == "https"}})
		}
	}
	twin, client := *b, *b.client
	client.Jar = jar
	twin.client = &client
	return &twin
}

// Cookies returns what the server has set, by name.
func (b *Browser) Cookies() map[string]string {
	values := map[string]string{}
	for _, scheme := range []string{"https", "http"} {
		for _, c := range b.client.Jar.Cookies(&url.URL{Scheme: scheme, Host: b.host, Path: "/"}) {
			values[c.Name] = c.Value
		}
	}
	return values
}

// SendOnce sends one request and follows nothing.
func (b *Browser) SendOnce(method, address string, form url.Values) (*http.Response, string) {
	b.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(b.t.Context(), method, address, body)
	if err != nil {
		b.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", b.fetchSite)
	}
	resp, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp, string(text)
}

func (b *Browser) page(resp *http.Response, text string) *Page {
	b.t.Helper()
	doc, err := goquery.NewDocumentFromReader(strings.NewReader(text))
	if err != nil {
		b.t.Fatal(err)
	}
	return &Page{Status: resp.StatusCode, URL: resp.Request.URL, Text: text, Header: resp.Header, Doc: doc}
}

// Submit sends the first form of main with the given fields filled in.
func (b *Browser) Submit(p *Page, fields map[string]string) *Page {
	b.t.Helper()
	if p.RedirectedTo != nil {
		b.t.Fatalf("no form, but sent away to %s", p.RedirectedTo)
	}
	form := p.Doc.Find("main form").First()
	if form.Length() == 0 {
		b.t.Fatalf("no form on %s:\n%s", p.URL, p.Text)
	}
	values := url.Values{}
	form.Find("input").Each(func(_ int, s *goquery.Selection) {
		values.Set(s.AttrOr("name", ""), s.AttrOr("value", ""))
	})
	for name, value := range fields {
		values.Set(name, value)
	}
	action, err := p.URL.Parse(form.AttrOr("action", ""))
	if err != nil {
		b.t.Fatal(err)
	}
	return b.Post(action.String(), values)
}

// Credentials are what a person knows.
type Credentials struct {
	// Connector is the name on the button, when there is a choice.
	Connector, Username, Password string
	// StopAtConfirmation leaves the question whether to go on to the caller.
	StopAtConfirmation bool
}

// SignIn goes from an address to wherever the person is let through to:
// choosing, signing in and confirming on the way.
func (b *Browser) SignIn(address string, as Credentials) *Page {
	b.t.Helper()
	p := b.Get(address)
	for range 6 {
		switch {
		case p.RedirectedTo != nil || p.Doc.Find("main form, ul.choices").Length() == 0:
			return p
		case p.Doc.Find("ul.choices").Length() > 0:
			p = b.choose(p, as.Connector)
		case p.Doc.Find("input[type=password]").Length() > 0:
			if p.Doc.Find("[role=alert]").Length() > 0 {
				return p
			}
			p = b.Submit(p, map[string]string{"username": as.Username, "password": as.Password})
		case as.StopAtConfirmation && p.Doc.Find("button[name=answer]").Length() > 0:
			return p
		case p.Doc.Find("button[name=answer]").Length() > 0:
			p = b.Submit(p, map[string]string{"answer": "yes"})
		default:
			return p
		}
	}
	b.t.Fatalf("the sign-in goes round in circles: %s", p.URL)
	return nil
}

func (b *Browser) choose(p *Page, connector string) *Page {
	b.t.Helper()
	link := p.Doc.Find("ul.choices a").FilterFunction(func(_ int, s *goquery.Selection) bool {
		return strings.TrimSpace(s.Text()) == "Continue with "+connector
	})
	href, found := link.Attr("href")
	if !found {
		b.t.Fatalf("no button for %q on %s:\n%s", connector, p.URL, p.Text)
	}
	next, err := p.URL.Parse(href)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.Get(next.String())
}

// PKCE returns a fresh verifier and its S256 challenge.
func PKCE() (verifier, challenge string) {
	verifier = rand.Text() + rand.Text()
	sum := sha256.Sum256([]byte(verifier))
	return verifier, base64.RawURLEncoding.EncodeToString(sum[:])
}

// Code returns the code that the browser was sent away with, or fails with what
// is there instead.
func (p *Page) Code(t testing.TB) string {
	t.Helper()
	if p.RedirectedTo == nil {
		t.Fatalf("still on %s (status %d):\n%s", p.URL, p.Status, p.Text)
	}
	code := p.RedirectedTo.Query().Get("code")
	if code == "" {
		t.Fatalf("no code in %s", p.RedirectedTo)
	}
	return code
}

// String says where the browser is, for messages.
func (p *Page) String() string {
	if p.RedirectedTo != nil {
		return "left to " + p.RedirectedTo.String()
	}
	return fmt.Sprintf("%d at %s", p.Status, p.URL)
}
