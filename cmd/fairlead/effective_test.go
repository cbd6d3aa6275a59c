package main

import "testing"

// TestEffectiveShowsWhatTheFileSets renders a file for the diagnostics page: no secret, and no setting that is
// not set.
func TestEffectiveShowsWhatTheFileSets(t *testing.T) {
	t.Parallel()
	c, _, err := load(t, t.TempDir(), `
url: https://fairlead.example.test
contact: platform@example.test
database: {driver: sqlite, path: fairlead.db, url: "postgres://fairlead:canary@db.example.test/fairlead"}
sessions: {idle: 12h}
upstream: {maxAge: 90s}
logging: {level: debug}
rules:
- {id: everyone, who: {everyone: true}, clusters: {ids: ["*"]}}
`)
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.effective()
	if err != nil {
		t.Fatal(err)
	}
	const want = `url: https://fairlead.example.test
listen: 127.0.0.1:8080
database:
  driver: sqlite
  path: fairlead.db
  url: '[redacted]'
logging:
  format: json
  level: debug
contact: platform@example.test
sessions:
  idle: 12h0m0s
upstream:
  maxAge: 1m30s
`
	if got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
}
