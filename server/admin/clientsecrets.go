package admin

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// hashShown is the number of hash digits that identify a secret.
const hashShown = 12

// SecretLabel describes a new secret: its purpose, and its last day, such as 2027-05-31. Both may be empty.
type SecretLabel struct{ Label, Ends string }

// AddClientSecret creates another secret for a client and returns it. The server cannot show it again. Older
// secrets stay valid until they are removed.
func (a *Admin) AddClientSecret(ctx context.Context, c Caller, id string, label SecretLabel) (string, error) {
	if day, err := time.Parse(time.DateOnly, label.Ends); label.Ends != "" && (err != nil || day.Before(a.Now().UTC().Truncate(24*time.Hour))) {
		return "", errs.New(errs.Invalid, "The expiry date must be today or later. Enter a date such as %s.", a.Now().AddDate(1, 0, 0).Format(time.DateOnly))
	}
	token := secret.Token().Reveal()
	return token, a.changeSecrets(ctx, c, id, "adds a secret", func(doc form.Doc) {
		a.addSecret(doc, token, label)
	})
}

func (a *Admin) addSecret(doc form.Doc, token string, label SecretLabel) {
	hash := secret.Hash(token)
	hashes, _ := doc["secretHashes"].([]any)
	notes, _ := doc["secretNotes"].([]any)
	note := form.Doc{"hash": hash[:hashShown], "label": strings.TrimSpace(label.Label), "made": a.Now().UTC().Format(time.DateOnly), "ends": label.Ends}
	doc["secretHashes"], doc["secretNotes"] = append(slices.Clone(hashes), hash), append(slices.Clone(notes), map[string]any(note.Compact()))
}

// CreateClient creates a client. If the client needs a secret and has no keys, it also creates and returns the
// first secret. The server cannot show it again.
func (a *Admin) CreateClient(ctx context.Context, c Caller, d Draft) (*store.Revision, string, error) {
	token := ""
	d.Doc = d.Doc.Clone()
	if d.Doc.Get("public") != true && d.Doc.Text("keys") == "" {
		token = secret.Token().Reveal()
		delete(d.Doc, "secretHashes")
		delete(d.Doc, "secretNotes")
		a.addSecret(d.Doc, token, SecretLabel{})
	}
	r, err := a.Apply(ctx, c, d)
	return r, token, err
}

// RemoveClientSecret removes a secret by the start of its hash.
func (a *Admin) RemoveClientSecret(ctx context.Context, c Caller, id, hash string) error {
	removed := false
	err := a.changeSecrets(ctx, c, id, "removes a secret", func(doc form.Doc) {
		hashes, _ := doc["secretHashes"].([]any)
		doc["secretHashes"] = slices.DeleteFunc(slices.Clone(hashes), func(h any) bool {
			text, _ := h.(string)
			gone := hash != "" && strings.HasPrefix(text, hash)
			removed = removed || gone
			return gone
		})
		notes, _ := doc["secretNotes"].([]any)
		doc["secretNotes"] = slices.DeleteFunc(slices.Clone(notes), func(n any) bool {
			note, _ := n.(map[string]any)
			return hash != "" && strings.HasPrefix(form.Doc(note).Text("hash"), hash[:min(hashShown, len(hash))])
		})
	})
	if err == nil && !removed {
		return errs.New(errs.NotFound, "There is nothing to remove: this secret has already been removed. Reload the page.")
	}
	return err
}

func (a *Admin) changeSecrets(ctx context.Context, c Caller, id, reason string, change func(form.Doc)) error {
	if err := a.authorizeWrite(ctx, c, "change secrets of client "+id); err != nil {
		return err
	}
	set, err := a.Store.AllSettings(ctx)
	if err != nil {
		return err
	}
	e, found := find(settings.Documents(set)[settings.Clients], id)
	if !found {
		return errs.New(errs.NotFound, "There is no client %s. Check the ID: another admin may have deleted it.", id)
	}
	doc := e.Doc.Clone()
	change(doc)
	_, err = a.apply(ctx, c, Draft{Kind: settings.Clients, ID: id, Doc: doc, Version: Version(e.Doc), Reason: reason})
	return err
}

// ClientSecret describes a secret of a client, without the secret itself.
type ClientSecret struct {
	// Hash is the start of the secret's hash, which identifies it.
	Hash, Label    string
	Made, LastUsed time.Time
	// Ends is the expiry, or zero if the secret never expires. Ended reports that it has expired.
	Ends  time.Time
	Ended bool
}

// ClientSecrets lists a client's secrets.
func (a *Admin) ClientSecrets(ctx context.Context, c Caller, id string) ([]ClientSecret, error) {
	if err := a.authorize(ctx, c, ReadSettings, "list secrets of client "+id); err != nil {
		return nil, err
	}
	client, err := a.Store.Client(ctx, id)
	if err != nil {
		return nil, err
	}
	var list []ClientSecret
	for _, hash := range client.SecretHashes {
		used, err := a.Store.LastUse(ctx, store.SecretUseID(id, hash))
		if err != nil {
			return nil, err
		}
		note := client.SecretNotes.Of(hash)
		made, _ := time.Parse(time.DateOnly, note.Made) // zero if unknown
		ends := note.EndsAt()
		list = append(list, ClientSecret{
			Hash: hash[:min(hashShown, len(hash))], Label: note.Label, Made: made, LastUsed: used, Ends: ends, Ended: !ends.IsZero() && !a.Now().Before(ends),
		})
	}
	return list, nil
}
