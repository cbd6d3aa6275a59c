package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// PageSize is the number of rows on a page of a list.
const PageSize = 50

// Item is a configured entry without its secrets.
type Item struct {
	ID   string
	Name string
	Doc  form.Doc
	// Version identifies this state of the entry. A change must name the version that it was based on.
	Version string
	Origin  store.Origin
}

// List is a page of items.
type List struct {
	Items []Item
	Total int
	Page  int
}

// Pages returns the number of pages.
func (l List) Pages() int { return max(1, (l.Total+PageSize-1)/PageSize) }

// Version returns a hash of a document, including its secrets.
func Version(doc form.Doc) string {
	text, err := json.Marshal(doc.Compact())
	if err != nil {
		return "" // a document always encodes as JSON
	}
	return secret.Hash(string(text))[:26]
}

// unknownKind is the error for an unknown kind of entry.
func unknownKind(kind string) error {
	return errs.New(errs.NotFound, "There is no kind of entry %q. Run `fairlead admin get --help` for the list.", kind)
}

// Entries lists the entries of a kind whose text contains the words. Pages count from 1.
func (a *Admin) Entries(ctx context.Context, c Caller, kind, words string, page int) (List, error) {
	if err := a.authorize(ctx, c, ReadSettings, "list "+kind); err != nil {
		return List{}, err
	}
	k, known := settings.KindOf(kind)
	if !known {
		return List{}, unknownKind(kind)
	}
	set, err := a.Store.AllSettings(ctx)
	if err != nil {
		return List{}, err
	}
	list := List{Page: max(1, page)}
	for _, e := range settings.Documents(set)[k.Name] {
		if !matches(e.Doc, words) {
			continue
		}
		if list.Total++; list.Total > PageSize*(list.Page-1) && len(list.Items) < PageSize {
			list.Items = append(list.Items, a.item(k, e))
		}
	}
	return list, nil
}

func (a *Admin) item(k settings.Kind, e settings.Entry) Item {
	name := e.Doc.Text("name")
	if name == "" {
		name = e.Doc.Text("description")
	}
	if name == "" {
		name = e.ID
	}
	if k.Name == settings.General {
		name = map[string]string{settings.Sessions: "Sessions", settings.Branding: "Name and appearance"}[e.ID]
	}
	return Item{ID: e.ID, Name: name, Version: Version(e.Doc), Origin: a.origin(k, e), Doc: form.Mask(a.fields(k.Name, e.Doc), e.Doc)}
}

// fields returns the fields of a document for masking and comparing, including those that no form shows.
func (a *Admin) fields(kind string, doc form.Doc) []form.Field {
	fields := settings.Fields(kind, a.Types, doc)
	switch kind {
	case settings.Connectors:
		fields = append(fields, form.Field{Key: "type", Label: "Type", Kind: form.Text}, form.Field{Key: "enabled", Label: "Enabled", Kind: form.Text})
	case settings.LocalUsers:
		fields = append(fields, form.Field{Key: "passwordHash", Label: "Password", Kind: form.Secret})
	case settings.Clients:
		fields = append(fields, form.Field{Key: "secretHashes", Label: "Secrets", Kind: form.Secret}, form.Field{
			Key: "secretNotes", Label: "Labels of secrets", Kind: form.Rows, Fields: []form.Field{{Key: "label", Kind: form.Text}, {Key: "ends", Kind: form.Text}},
		})
	}
	if HasOrder(kind) { // in the history of a move
		fields = append(fields, form.Field{Key: "position", Label: "Position", Kind: form.Number})
	}
	return fields
}

func matches(doc form.Doc, words string) bool {
	text := strings.ToLower(fmt.Sprint(doc["id"], doc["login"], " ", doc["name"], " ", doc["description"], " ", doc["type"], " ", doc["server"], " ", doc["labels"], " ", doc["who"], " ", doc["clusters"]))
	for word := range strings.FieldsSeq(strings.ToLower(words)) {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}

// Entry returns one entry.
func (a *Admin) Entry(ctx context.Context, c Caller, kind, id string) (Item, error) {
	if err := a.authorize(ctx, c, ReadSettings, "read "+kind+" "+id); err != nil {
		return Item{}, err
	}
	k, known := settings.KindOf(kind)
	if !known {
		return Item{}, unknownKind(kind)
	}
	set, err := a.Store.AllSettings(ctx)
	if err != nil {
		return Item{}, err
	}
	e, found := find(settings.Documents(set)[k.Name], id)
	if !found {
		return Item{}, errUnknownEntry(k, id)
	}
	return a.item(k, e), nil
}

func find(entries []settings.Entry, id string) (settings.Entry, bool) {
	i := slices.IndexFunc(entries, func(e settings.Entry) bool { return e.ID == id })
	if i < 0 {
		return settings.Entry{}, false
	}
	return entries[i], true
}

func errUnknownEntry(k settings.Kind, id string) error {
	return errs.New(errs.NotFound, "There is no %s %q. Check the ID: another admin may have deleted it.", k.One, id)
}

// Cluster returns a stored cluster.
func (a *Admin) Cluster(ctx context.Context, c Caller, id string) (*store.Cluster, error) {
	if err := a.authorize(ctx, c, ReadSettings, "read cluster "+id); err != nil {
		return nil, err
	}
	return a.Store.Cluster(ctx, id)
}
