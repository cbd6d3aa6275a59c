package adminapi

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/policy/access"
)

// routes is the table of all operations.
func routes() []route {
	var list []route
	for _, k := range settings.Kinds() {
		list = append(list, entryRoutes(k)...)
		if admin.HasOrder(k.Name) {
			list = append(list, moveRoutes(k)...)
		}
	}
	list = slices.Concat(list, connectorRoutes(), clientAndProxyRoutes())
	list = append(list, peopleRoutes()...)
	return append(list, otherRoutes()...)
}

func entryRoutes(k settings.Kind) []route {
	path, one := "/"+k.Path, k.One
	return []route{
		{http.MethodGet, path, "List " + strings.ToLower(k.Many), admin.ReadSettings, nil, Entries{}, []string{"q", "page"}, func(h *Handler, r *call) (any, error) {
			page, _ := strconv.Atoi(r.QueryParam("page")) // any other value means the first page
			list, err := h.Admin.Entries(r.Request().Context(), r.caller, k.Name, r.QueryParam("q"), page)
			out := Entries{Items: []Entry{}, Total: list.Total, Page: list.Page, Pages: list.Pages()}
			for _, item := range list.Items {
				out.Items = append(out.Items, entry(item))
			}
			return out, err
		}},
		{http.MethodPost, path, "Create a " + one, admin.WriteSettings, Change{}, Revision{}, nil, func(h *Handler, r *call) (any, error) {
			return apply(h, r, k, "")
		}},
		{http.MethodPost, path + "/preview", "Preview the effect of a change of a " + one, admin.WriteSettings, Change{}, Preview{}, []string{"id"}, func(h *Handler, r *call) (any, error) {
			in := body[Change](r)
			return preview(h, r, admin.Draft{Kind: k.Name, ID: r.QueryParam("id"), Doc: in.Document, Version: in.Version, Reason: in.Reason})
		}},
		{http.MethodGet, path + "/:id", "Read a " + one, admin.ReadSettings, nil, Entry{}, nil, func(h *Handler, r *call) (any, error) {
			item, err := h.Admin.Entry(r.Request().Context(), r.caller, k.Name, r.Param("id"))
			return entry(item), err
		}},
		{http.MethodPut, path + "/:id", "Change a " + one, admin.WriteSettings, Change{}, Revision{}, nil, func(h *Handler, r *call) (any, error) {
			return apply(h, r, k, r.Param("id"))
		}},
		{http.MethodDelete, path + "/:id", "Delete a " + one, admin.WriteSettings, nil, Revision{}, []string{"version", "reason"}, func(h *Handler, r *call) (any, error) {
			made, err := h.Admin.Apply(r.Request().Context(), r.caller, admin.Draft{Kind: k.Name, ID: r.Param("id"), Version: baseVersion(r, r.QueryParam("version")), Reason: r.QueryParam("reason")})
			if err != nil {
				return nil, err
			}
			return revision(made), nil
		}},
	}
}

func preview(h *Handler, r *call, d admin.Draft) (any, error) {
	p, err := h.Admin.Preview(r.Request().Context(), r.caller, d)
	if err != nil {
		return nil, err
	}
	return Preview{p.Action, diff(p.Diff), p.Sentences, p.Names, p.Trial, p.Refused, p.Uses}, nil
}

// moveRoutes are the routes of kinds whose order matters.
func moveRoutes(k settings.Kind) []route {
	draft := func(h *Handler, r *call) (admin.Draft, error) {
		in := body[Place](r)
		if in.Position < 1 {
			return admin.Draft{}, errs.New(errs.Invalid, "The position must be 1 or more. Send the place in the list, counting from 1.")
		}
		item, err := h.Admin.Entry(r.Request().Context(), r.caller, k.Name, r.Param("id"))
		return admin.Draft{Kind: k.Name, ID: r.Param("id"), Version: item.Version, Position: in.Position, Reason: in.Reason}, err
	}
	path := "/" + k.Path + "/:id/move"
	return []route{
		{http.MethodPost, path, "Move a " + k.One + " to another place in the order", admin.WriteSettings, Place{}, Revision{}, nil, func(h *Handler, r *call) (any, error) {
			d, err := draft(h, r)
			if err != nil {
				return nil, err
			}
			made, err := h.Admin.Apply(r.Request().Context(), r.caller, d)
			if err != nil {
				return nil, err
			}
			return revision(made), nil
		}},
		{http.MethodPost, path + "/preview", "Preview a move of a " + k.One, admin.WriteSettings, Place{}, Preview{}, nil, func(h *Handler, r *call) (any, error) {
			d, err := draft(h, r)
			if err != nil {
				return nil, err
			}
			return preview(h, r, d)
		}},
	}
}

// baseVersion returns the version that a change is based on, from the body or from If-Match.
func baseVersion(r *call, given string) string {
	if given != "" {
		return given
	}
	return strings.Trim(r.Request().Header.Get("If-Match"), `"`)
}

func apply(h *Handler, r *call, k settings.Kind, id string) (any, error) {
	in := body[Change](r)
	d := admin.Draft{Kind: k.Name, ID: id, Doc: in.Document, Version: baseVersion(r, in.Version), Reason: in.Reason}
	if d.Doc == nil {
		d.Doc = map[string]any{}
	}
	secret := ""
	var made *store.Revision
	var err error
	if k.Name == settings.Clients && id == "" {
		made, secret, err = h.Admin.CreateClient(r.Request().Context(), r.caller, d)
	} else {
		made, err = h.Admin.Apply(r.Request().Context(), r.caller, d)
	}
	if err != nil {
		return nil, err
	}
	out := revision(made)
	out.Secret = secret
	return out, nil
}

func connectorRoutes() []route {
	enable := func(on bool) func(h *Handler, r *call) (any, error) {
		return func(h *Handler, r *call) (any, error) {
			made, err := h.Admin.Enable(r.Request().Context(), r.caller, r.Param("id"), on, body[Reason](r).Reason)
			if err != nil {
				return nil, err
			}
			return revision(made), nil
		}
	}
	move := func(up bool) func(h *Handler, r *call) (any, error) {
		return func(h *Handler, r *call) (any, error) {
			_, err := h.Admin.Move(r.Request().Context(), r.caller, settings.Connectors, r.Param("id"), up)
			return nil, err
		}
	}
	return []route{
		{http.MethodPost, "/connectors/:id/enable", "Enable a connector", admin.WriteSettings, Reason{}, Revision{}, nil, enable(true)},
		{http.MethodPost, "/connectors/:id/disable", "Disable a connector", admin.WriteSettings, Reason{}, Revision{}, nil, enable(false)},
		{http.MethodPost, "/connectors/:id/up", "Move a connector up on the sign-in page", admin.WriteSettings, nil, nil, nil, move(true)},
		{http.MethodPost, "/connectors/:id/down", "Move a connector down on the sign-in page", admin.WriteSettings, nil, nil, nil, move(false)},
		{http.MethodPost, "/connectors/check", "Test a connector’s settings without a user", admin.WriteSettings, ConnectorDraft{}, Findings{}, nil, func(h *Handler, r *call) (any, error) {
			in := body[ConnectorDraft](r)
			steps, err := h.Admin.Check(r.Request().Context(), r.caller, admin.ConnectorDraft{ID: in.ID, Doc: in.Document})
			out := Findings{Steps: []Finding{}}
			for _, s := range steps {
				out.Steps = append(out.Steps, finding(s))
			}
			return out, err
		}},
		{http.MethodPost, "/connectors/lookup", "Look up a user with a connector’s settings", admin.WriteSettings, ConnectorDraft{}, LookupResult{}, nil, func(h *Handler, r *call) (any, error) {
			in := body[ConnectorDraft](r)
			f, err := h.Admin.Lookup(r.Request().Context(), r.caller, admin.ConnectorDraft{ID: in.ID, Doc: in.Document}, in.Username)
			if err != nil {
				return nil, err
			}
			out := LookupResult{UserName: f.KubeName, Groups: f.Groups, Admin: f.Admin, Warnings: f.Warnings, Fault: f.Fault, Remedy: f.Remedy}
			for _, c := range f.Clusters {
				out.Clusters = append(out.Clusters, c.Cluster.ID)
			}
			return out, nil
		}},
	}
}

func clientAndProxyRoutes() []route {
	return []route{
		{http.MethodGet, "/clients/:id/secrets", "List a client’s secrets, by the start of their hashes", admin.ReadSettings, nil, ClientSecrets{}, nil, func(h *Handler, r *call) (any, error) {
			list, err := h.Admin.ClientSecrets(r.Request().Context(), r.caller, r.Param("id"))
			out := ClientSecrets{Items: []ClientSecret{}}
			for _, s := range list {
				out.Items = append(out.Items, ClientSecret{Hash: s.Hash, Label: s.Label, Made: s.Made, LastUsed: s.LastUsed, Ends: s.Ends})
			}
			return out, err
		}},
		{http.MethodPost, "/clients/:id/secrets", "Add a secret to a client and return it once", admin.WriteSettings, SecretLabel{}, Secret{}, nil, func(h *Handler, r *call) (any, error) {
			text, err := h.Admin.AddClientSecret(r.Request().Context(), r.caller, r.Param("id"), admin.SecretLabel(body[SecretLabel](r)))
			return Secret{text}, err
		}},
		{http.MethodDelete, "/clients/:id/secrets/:hash", "Remove a secret of a client", admin.WriteSettings, nil, nil, nil, func(h *Handler, r *call) (any, error) {
			return nil, h.Admin.RemoveClientSecret(r.Request().Context(), r.caller, r.Param("id"), r.Param("hash"))
		}},
		{http.MethodGet, "/clusters/:id/proxies", "List the enrolled proxies of a cluster", admin.ReadSettings, nil, Proxies{}, nil, listProxies},
		{http.MethodPost, "/clusters/:id/enrolment-code", "Create a one-time enrolment code for a proxy and invalidate earlier codes", admin.WriteSettings, nil, Secret{}, nil, func(h *Handler, r *call) (any, error) {
			code, err := h.Admin.EnrolmentCode(r.Request().Context(), r.caller, r.Param("id"))
			return Secret{code}, err
		}},
		{http.MethodDelete, "/proxies/:id", "Remove a proxy, which then receives no revocations", admin.WriteSettings, nil, nil, nil, func(h *Handler, r *call) (any, error) {
			return nil, h.Admin.RemoveProxy(r.Request().Context(), r.caller, r.Param("id"))
		}},
		{http.MethodPost, "/local-users/:id/invitation", "Create an invitation link with which a local user sets a password", admin.WritePeople, nil, Secret{}, nil, func(h *Handler, r *call) (any, error) {
			token, err := h.Admin.Invite(r.Request().Context(), r.caller, r.Param("id"))
			return Secret{h.URL + "/invitation/" + token}, err
		}},
	}
}

func listProxies(h *Handler, r *call) (any, error) {
	list, err := h.Admin.Proxies(r.Request().Context(), r.caller, r.Param("id"))
	out := Proxies{Items: []Proxy{}}
	for _, p := range list {
		out.Items = append(out.Items, Proxy{ID: p.ID, Cluster: p.ClusterID, Name: p.Name, Version: p.Version, Address: p.Address, Created: p.Created.Time(), LastSeen: p.LastSeen.Time(), Away: p.Away})
	}
	return out, err
}

func peopleRoutes() []route {
	disable := func(off bool) func(h *Handler, r *call) (any, error) {
		return func(h *Handler, r *call) (any, error) {
			return nil, h.Admin.Disable(r.Request().Context(), r.caller, r.Param("id"), off, "")
		}
	}
	return []route{
		{http.MethodGet, "/people", "List users", admin.ReadPeople, nil, People{}, []string{"q", "connector", "disabled", "after"}, listPeople},
		{http.MethodGet, "/people/:id", "Read a user, with their clusters, sessions and devices", admin.ReadPeople, nil, Person{}, nil, onePerson},
		{http.MethodPost, "/people/:id/disable", "Disable a user and end all their sessions and devices at once", admin.WritePeople, nil, nil, nil, disable(true)},
		{http.MethodPost, "/people/:id/enable", "Enable a user", admin.WritePeople, nil, nil, nil, disable(false)},
		{http.MethodPost, "/people/:id/remove", "Remove a user with all they hold, which releases their name", admin.WritePeople, nil, nil, nil, func(h *Handler, r *call) (any, error) {
			return nil, h.Admin.RemovePerson(r.Request().Context(), r.caller, r.Param("id"), "")
		}},
		{http.MethodPost, "/people/retired/:connector/remove", "Remove the people whose connector of this ID was deleted", admin.WritePeople, nil, Count{}, nil, func(h *Handler, r *call) (any, error) {
			n, err := h.Admin.RemoveRetired(r.Request().Context(), r.caller, r.Param("connector"))
			return Count{n}, err
		}},
		{http.MethodPost, "/people/retired/:connector/return", "Return the people of a deleted connector to the connector that has its ID now", admin.WriteSettings, nil, Count{}, nil, func(h *Handler, r *call) (any, error) {
			n, err := h.Admin.ReturnPeople(r.Request().Context(), r.caller, r.Param("connector"))
			return Count{n}, err
		}},
		{http.MethodPost, "/people/:id/revoke", "End one session or device of a user, or all", admin.WritePeople, Revoke{}, nil, nil, func(h *Handler, r *call) (any, error) {
			return nil, h.Admin.Revoke(r.Request().Context(), r.caller, r.Param("id"), body[Revoke](r).Session)
		}},
		{http.MethodPost, "/claims", "Preview the claims of a user’s ID token for a cluster or client", admin.ReadPeople, ClaimsQuestion{}, Claims{}, nil, func(h *Handler, r *call) (any, error) {
			p, err := h.Admin.PreviewClaims(r.Request().Context(), r.caller, admin.ClaimsQuestion(body[ClaimsQuestion](r)))
			if err != nil {
				return nil, err
			}
			return Claims{Refused: p.Refused, Claims: p.Claims, Bytes: p.Bytes}, nil
		}},
		{http.MethodGet, "/access-map", "Read a page of the access map: which subjects reach which clusters, and by which rule", admin.ReadPeople, nil, AccessMap{}, []string{"q", "user", "group", "domain", "rule", "cluster", "environment", "page"}, accessMap},
		{http.MethodPost, "/simulate", "Simulate access: which clusters a user may use, and which conditions are missing", admin.ReadPeople, Question{}, Answers{}, nil, simulate},
	}
}

func listPeople(h *Handler, r *call) (any, error) {
	rows, total, err := h.Admin.People(r.Request().Context(), r.caller, store.UserQuery{
		Text: r.QueryParam("q"), ConnectorID: r.QueryParam("connector"), Disabled: r.QueryParam("disabled") != "", After: r.QueryParam("after"),
	})
	out := People{Items: []Person{}, Total: total}
	for i := range rows {
		out.Items = append(out.Items, person(&rows[i]))
	}
	if len(rows) == admin.PageSize {
		out.Next = rows[len(rows)-1].NameKey
	}
	return out, err
}

func onePerson(h *Handler, r *call) (any, error) {
	p, err := h.Admin.Person(r.Request().Context(), r.caller, r.Param("id"))
	if err != nil {
		return nil, err
	}
	out := person(p.User)
	out.Admin = p.Admin
	for _, c := range p.Clusters {
		out.Clusters = append(out.Clusters, c.Cluster.ID)
	}
	for _, s := range p.SignIns {
		out.Sessions = append(out.Sessions, Session{ID: s.ID, Kind: "browser", Address: s.Address, LastUsed: s.LastSeen.Time(), Expires: s.Expires.Time()})
	}
	for _, d := range p.Devices {
		out.Sessions = append(out.Sessions, Session{ID: d.ID, Kind: "device", Client: d.ClientID, Host: d.Host, Address: d.Address, LastUsed: d.LastUsed.Time(), Expires: d.Expires.Time()})
	}
	return out, nil
}

func simulate(h *Handler, r *call) (any, error) {
	in := body[Question](r)
	answers, err := h.Admin.Simulate(r.Request().Context(), r.caller, admin.Question{User: in.User, Cluster: in.Cluster, Who: access.HypotheticalUser{
		ConnectorID: in.Connector, Groups: in.Groups, Email: in.Email, EmailVerified: in.Email != "",
	}})
	out := Answers{Items: []Answer{}}
	for _, a := range answers {
		answer := Answer{Cluster: a.Cluster.ID, Allowed: a.Allowed, Rule: a.Rule, Why: a.Why.String()}
		for _, near := range a.NearMisses {
			answer.Near = append(answer.Near, near.Rule+" "+near.Missing)
		}
		out.Admin = a.Admin
		out.Items = append(out.Items, answer)
	}
	return out, err
}
