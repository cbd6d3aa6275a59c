package feed

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/fairlead-auth/fairlead/internal/proxyfeed"
)

// Identity is who an enrolled proxy is.
type Identity struct {
	// Server is the address of the sign-in server, ID what it calls the proxy.
	Server string
	ID     string
	Key    ed25519.PrivateKey
}

// identityFile is Identity as it is kept. It holds the private key.
type identityFile struct {
	Server string          `json:"server"`
	ID     string          `json:"id"`
	Key    jose.JSONWebKey `json:"key"`
}

// Snapshot is what a proxy knew last: with it it starts and serves while the server is
// away.
type Snapshot struct {
	AsOf         time.Time              `json:"asOf"`
	Seq          int64                  `json:"seq"`
	Version      int64                  `json:"version"`
	RulesChanged time.Time              `json:"changed"`
	Settings     proxyfeed.Settings     `json:"settings"`
	Revocations  []proxyfeed.Revocation `json:"revocations"`
	Keys         json.RawMessage        `json:"keys"`
}

// Dir is the directory where a proxy keeps who it is and what it knows.
type Dir string

const (
	identityFileName = "identity.json"
	snapshotFileName = "snapshot.jws"
)

// ErrNotEnrolled says that there is no identity yet.
var ErrNotEnrolled = errors.New("this proxy has not enrolled yet: start it with --enrol and a code from the page of its cluster")

// Identity reads who the proxy is. The error is ErrNotEnrolled when that is not known.
func (d Dir) LoadIdentity() (Identity, error) {
	text, err := os.ReadFile(filepath.Join(string(d), identityFileName))
	if errors.Is(err, fs.ErrNotExist) {
		return Identity{}, ErrNotEnrolled
	}
	if err != nil {
		return Identity{}, fmt.Errorf("reading identity: %w", err)
	}
	var file identityFile
	if err := json.Unmarshal(text, &file); err != nil {
		return Identity{}, errors.New("reading identity: not readable") // the cause could show the key
	}
	key, ok := file.Key.Key.(ed25519.PrivateKey)
	if !ok || file.ID == "" || file.Server == "" {
		return Identity{}, errors.New("reading identity: it is not complete; enrol the proxy again")
	}
	return Identity{Server: file.Server, ID: file.ID, Key: key}, nil
}

func (d Dir) saveIdentity(id Identity) error {
	text, err := json.Marshal(identityFile{Server: id.Server, ID: id.ID, Key: jose.JSONWebKey{Key: id.Key, KeyID: id.ID}})
	if err != nil {
		return fmt.Errorf("keeping identity: %w", err)
	}
	return d.replaceFile(identityFileName, text)
}

// Snapshot reads what the proxy knew last. Nil means that there is none; one that was
// changed by somebody else is an error.
func (d Dir) LoadSnapshot(id Identity) (*Snapshot, error) {
	text, err := os.ReadFile(filepath.Join(string(d), snapshotFileName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // none is no fault
	}
	if err != nil {
		return nil, fmt.Errorf("reading snapshot: %w", err)
	}
	signed, err := jose.ParseSignedCompact(string(text), []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		return nil, errors.New("the snapshot is not one of this proxy")
	}
	body, err := signed.Verify(id.Key.Public())
	if err != nil {
		return nil, errors.New("the snapshot was changed by somebody else")
	}
	var s Snapshot
	if err := json.Unmarshal(body, &s); err != nil {
		return nil, fmt.Errorf("reading snapshot: %w", err)
	}
	return &s, nil
}

// Keep writes what the proxy knows, signed with its own key.
func (d Dir) SaveSnapshot(id Identity, s Snapshot) error {
	body, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("keeping snapshot: %w", err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: id.Key}, nil)
	if err != nil {
		return fmt.Errorf("keeping snapshot: %w", err)
	}
	signed, err := signer.Sign(body)
	if err != nil {
		return fmt.Errorf("keeping snapshot: %w", err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		return fmt.Errorf("keeping snapshot: %w", err)
	}
	return d.replaceFile(snapshotFileName, []byte(text))
}

// write replaces a file whole: one that is half written would be no use.
func (d Dir) replaceFile(name string, text []byte) error {
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return fmt.Errorf("making state directory: %w", err)
	}
	file, err := os.CreateTemp(string(d), name+".*")
	if err != nil {
		return fmt.Errorf("writing state: %w", err)
	}
	_, errWrite := file.Write(text)
	err = errors.Join(errWrite, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), filepath.Join(string(d), name))
	}
	if err != nil {
		return fmt.Errorf("writing state: %w", errors.Join(err, os.Remove(file.Name())))
	}
	return nil
}

func newKey() (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making key: %w", err)
	}
	return key, nil
}
