package adminapi

import (
	"net/http"
	"strconv"

	"github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/signing/keys"
)

func otherRoutes() []route {
	return []route{
		{http.MethodGet, "/keys", "List the signing keys", admin.ReadKeys, nil, Keys{}, nil, listKeys},
		{http.MethodPost, "/keys/rotate", "Rotate a signing key, once every verifier has the next one", admin.WriteKeys, Rotate{}, nil, nil, func(h *Handler, r *call) (any, error) {
			return nil, h.Admin.RotateKey(r.Request().Context(), r.caller, body[Rotate](r).Algorithm)
		}},
		{http.MethodPost, "/keys/:id/revoke", "Revoke a key at once, and with it every token that it signed", admin.WriteKeys, Reason{}, nil, nil, func(h *Handler, r *call) (any, error) {
			return nil, h.Admin.RevokeKey(r.Request().Context(), r.caller, r.Param("id"), body[Reason](r).Reason)
		}},
		{http.MethodGet, "/audit", "List audit events, the newest first", admin.ReadAudit, nil, Events{}, []string{"name", "user", "connector", "cluster", "client", "request", "address", "text", "after"}, listEvents},
		{http.MethodGet, "/history", "List changes, the newest first", admin.ReadSettings, nil, Revisions{}, []string{"kind", "object", "before"}, listHistory},
		{http.MethodGet, "/history/:id", "Read a change", admin.ReadSettings, nil, Revision{}, nil, func(h *Handler, r *call) (any, error) {
			change, err := h.Admin.Revision(r.Request().Context(), r.caller, r.Param("id"))
			return changed(change), err
		}},
		{http.MethodPost, "/history/:id/restore", "Restore an earlier version of an entry", admin.WriteSettings, Restore{}, Revision{}, nil, func(h *Handler, r *call) (any, error) {
			in := body[Restore](r)
			made, err := h.Admin.Restore(r.Request().Context(), r.caller, admin.Restoration{RevisionID: r.Param("id"), After: in.After, Reason: in.Reason})
			if err != nil {
				return nil, err
			}
			return revision(made), nil
		}},
		{http.MethodPost, "/history/:id/roll-back", "Undo a change on trial", admin.WriteSettings, nil, nil, nil, func(h *Handler, r *call) (any, error) {
			return nil, h.Admin.RollBackTrial(r.Request().Context(), r.caller, r.Param("id"))
		}},
		{http.MethodGet, "/export", "Export the entries of the pages in the format of the configuration file", admin.ReadSettings, nil, Text{}, nil, func(h *Handler, r *call) (any, error) {
			text, err := h.Admin.Export(r.Request().Context(), r.caller)
			return Text{string(text)}, err
		}},
		{http.MethodPost, "/import", "Import entries from a configuration of Fairlead, Dex or Gangway", admin.WriteSettings, Import{}, Imported{}, nil, runImport},
		{http.MethodGet, "/overview", "List the problems that need attention", admin.ReadSettings, nil, Notices{}, nil, func(h *Handler, r *call) (any, error) {
			o, err := h.Admin.Overview(r.Request().Context(), r.caller)
			if err != nil {
				return nil, err
			}
			out := Notices{Items: []Notice{}}
			for _, n := range o.Notices {
				out.Items = append(out.Items, Notice{n.Urgent, n.Text})
			}
			return out, nil
		}},
	}
}

func listKeys(h *Handler, r *call) (any, error) {
	list, err := h.Admin.SigningKeys(r.Request().Context(), r.caller)
	out := Keys{Items: []Key{}}
	for _, k := range list {
		out.Items = append(out.Items, key(k))
	}
	return out, err
}

func key(k keys.Info) Key {
	return Key{ID: k.ID, Algorithm: k.Algorithm, State: string(k.State), Created: k.Created, Signs: k.SignsFrom, Leaves: k.PublishedUntil}
}

func listEvents(h *Handler, r *call) (any, error) {
	q := r.QueryParam
	rows, err := h.Admin.Events(r.Request().Context(), r.caller, store.EventQuery{
		Name: q("name"), User: q("user"), Connector: q("connector"), Cluster: q("cluster"), Client: q("client"), Request: q("request"), Address: q("address"), Text: q("text"), After: q("after"),
	})
	out := Events{Items: []Event{}}
	for _, e := range rows {
		out.Items = append(out.Items, Event{
			Time: e.Time.Time(), Name: e.Name, User: e.UserName, UserID: e.UserID, Actor: e.ActorName, ActorID: e.ActorID, Address: e.Address, Connector: e.ConnectorID, Cluster: e.ClusterID, Client: e.ClientID,
			RequestID: e.RequestID, Reason: e.Reason, Detail: e.Detail,
		})
	}
	if len(rows) == admin.PageSize {
		out.Next = rows[len(rows)-1].Cursor()
	}
	return out, err
}

func changed(c admin.Change) Revision {
	out := revision(&c.Revision)
	out.Diff = diff(c.Diff)
	return out
}

func listHistory(h *Handler, r *call) (any, error) {
	before, _ := strconv.ParseInt(r.QueryParam("before"), 10, 64) // any other value means the newest
	changes, err := h.Admin.History(r.Request().Context(), r.caller, store.RevisionQuery{Kind: r.QueryParam("kind"), ObjectID: r.QueryParam("object"), Before: before})
	out := Revisions{Items: []Revision{}}
	for _, c := range changes {
		out.Items = append(out.Items, changed(c))
	}
	return out, err
}

func runImport(h *Handler, r *call) (any, error) {
	in := body[Import](r)
	work := h.Admin.Import
	if in.DryRun {
		work = h.Admin.PlanImport
	}
	env := func(name string) (string, bool) { value, known := in.Env[name]; return value, known }
	plan, err := work(r.Request().Context(), r.caller, admin.Source{Format: in.Format, Text: []byte(in.YAML), Env: env, Reason: in.Reason, Prune: in.Prune})
	if err == nil && !in.DryRun {
		err = plan.Err()
	}
	if err != nil {
		return nil, err
	}
	out := Imported{Items: []ImportedEntry{}, Notes: plan.Notes, Ignored: plan.Ignored, Variables: plan.Variables, Refused: plan.Refused}
	for _, e := range append(plan.Entries, plan.Prune...) {
		out.Items = append(out.Items, ImportedEntry{e.Kind, e.ID, e.Action, diff(e.Diff), e.Problems})
	}
	return out, nil
}
