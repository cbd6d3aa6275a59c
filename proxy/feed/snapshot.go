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

// Identity is the identity of an enrolled proxy.
type Identity struct {
	// Server is the URL of the Fairlead server, ID the proxy's ID there.
	Server string
	ID     string
	Key    ed25519.PrivateKey
}

// identityFile is the saved form of Identity. It contains the private key.
type identityFile struct {
	Server string          `json:"server"`
	ID     string          `json:"id"`
	Key    jose.JSONWebKey `json:"key"`
}

// Snapshot is the saved state of a feed, with which a proxy can start and serve without the server.
type Snapshot struct {
	AsOf         time.Time              `json:"asOf"`
	Seq          int64                  `json:"seq"`
	Version      int64                  `json:"version"`
	RulesChanged time.Time              `json:"changed"`
	Settings     proxyfeed.Settings     `json:"settings"`
	Revocations  []proxyfeed.Revocation `json:"revocations"`
	Keys         json.RawMessage        `json:"keys"`
}

// Dir is the directory with the identity and the snapshot of a proxy.
type Dir string

const (
	identityFileName = "identity.json"
	snapshotFileName = "snapshot.jws"
)

// ErrNotEnrolled says that the directory contains no identity.
var ErrNotEnrolled = errors.New("this proxy has not enrolled yet. Start it with --enrol and a code from the page of its cluster")

// LoadIdentity reads the identity. The error is ErrNotEnrolled if there is none.
func (d Dir) LoadIdentity() (Identity, error) {
	text, err := os.ReadFile(filepath.Join(string(d), identityFileName))
	if errors.Is(err, fs.ErrNotExist) {
		return Identity{}, ErrNotEnrolled
	}
	if err != nil {
		return Identity{}, fmt.Errorf("reading the identity: %w", err)
	}
	var file identityFile
	if err := json.Unmarshal(text, &file); err != nil {
		return Identity{}, errors.New("reading the identity: the file is not valid. Enrol the proxy again") // omits the cause, which could show the key
	}
	key, ok := file.Key.Key.(ed25519.PrivateKey)
	if !ok || file.ID == "" || file.Server == "" {
		return Identity{}, errors.New("reading the identity: the file is incomplete. Enrol the proxy again")
	}
	return Identity{Server: file.Server, ID: file.ID, Key: key}, nil
}

func (d Dir) saveIdentity(id Identity) error {
	text, err := json.Marshal(identityFile{Server: id.Server, ID: id.ID, Key: jose.JSONWebKey{Key: id.Key, KeyID: id.ID}})
	if err != nil {
		return fmt.Errorf("saving the identity: %w", err)
	}
	return d.replaceFile(identityFileName, text)
}

// LoadSnapshot reads the snapshot, or returns nil if there is none. It refuses a snapshot that is not
// signed by this proxy.
func (d Dir) LoadSnapshot(id Identity) (*Snapshot, error) {
	text, err := os.ReadFile(filepath.Join(string(d), snapshotFileName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // a proxy may have no snapshot
	}
	if err != nil {
		return nil, fmt.Errorf("reading the snapshot: %w", err)
	}
	signed, err := jose.ParseSignedCompact(string(text), []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		return nil, errors.New("the snapshot is not a valid JWS")
	}
	body, err := signed.Verify(id.Key.Public())
	if err != nil {
		return nil, errors.New("the snapshot is not signed by this proxy")
	}
	var s Snapshot
	if err := json.Unmarshal(body, &s); err != nil {
		return nil, fmt.Errorf("reading the snapshot: %w", err)
	}
	return &s, nil
}

// SaveSnapshot writes the snapshot, signed with the proxy's key.
func (d Dir) SaveSnapshot(id Identity, s Snapshot) error {
	body, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("saving the snapshot: %w", err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: id.Key}, nil)
	if err != nil {
		return fmt.Errorf("saving the snapshot: %w", err)
	}
	signed, err := signer.Sign(body)
	if err != nil {
		return fmt.Errorf("saving the snapshot: %w", err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		return fmt.Errorf("saving the snapshot: %w", err)
	}
	return d.replaceFile(snapshotFileName, []byte(text))
}

// replaceFile replaces a file atomically, so that a reader never sees a part of it.
func (d Dir) replaceFile(name string, text []byte) error {
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return fmt.Errorf("creating the state directory: %w", err)
	}
	file, err := os.CreateTemp(string(d), name+".*")
	if err != nil {
		return fmt.Errorf("writing the state: %w", err)
	}
	_, errWrite := file.Write(text)
	err = errors.Join(errWrite, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), filepath.Join(string(d), name))
	}
	if err != nil {
		return fmt.Errorf("writing the state: %w", errors.Join(err, os.Remove(file.Name())))
	}
	return nil
}

func newKey() (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("creating the key: %w", err)
	}
	return key, nil
}
