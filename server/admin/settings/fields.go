package settings

import (
	"strings"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// The kinds of entry: the keys of the file.
const (
	Connectors = "connectors"
	LocalUsers = "localUsers"
	Clusters   = "clusters"
	Rules      = "rules"
	Clients    = "clients"
	Issuers    = "trustedIssuers"
	Machines   = "machines"
)

// Kind describes a kind of entry.
type Kind struct {
	// Name is the key in the file, Path what addresses call it.
	Name, Path string
	// One and Many are the words for people; About says in a sentence what it is.
	One, Many, About string
	// IDKey is the key of the id.
	IDKey string
}

// Kinds lists the kinds, in the order in which one refers to another.
func Kinds() []Kind {
	return []Kind{
		{Connectors, "connectors", "connector", "Connectors", "Where people sign in: GitHub, a directory, another provider.", "id"},
		{LocalUsers, "local-users", "local user", "Local users", "Accounts that are kept here, for the few who are nowhere else.", "login"},
		{Clusters, "clusters", "cluster", "Clusters", "The Kubernetes clusters that people use.", "id"},
		{Rules, "rules", "access rule", "Access rules", "Who may use which clusters. Rules only allow.", "id"},
		{Clients, "clients", "client", "Clients", "Other applications that let people sign in through Fairlead.", "id"},
		{Issuers, "trusted-issuers", "trusted issuer", "Trusted issuers", "Platforms whose tokens machines may bring.", "id"},
		{General, "general", "general setting", "General", "What concerns everybody: how long sessions last, what this installation is called.", "id"},
		{Machines, "machines", "machine", "Machines", "Which of those tokens stand for one machine.", "id"},
	}
}

// KindOf finds a kind by its name or path.
func KindOf(name string) (Kind, bool) {
	for _, k := range Kinds() {
		if k.Name == name || k.Path == name {
			return k, true
		}
	}
	return Kind{}, false
}

// Fields returns the form of a document of a kind. A connector's depends on its
// type.
func Fields(kind string, types map[string]connectors.Type, doc form.Doc) []form.Field {
	switch kind {
	case Connectors:
		return connectorFields(types[doc.Text("type")])
	case Clusters:
		return clusterFields()
	case Rules:
		return ruleFields()
	case Clients:
		return clientFields()
	case Issuers:
		return issuerFields()
	case Machines:
		return machineFields()
	case LocalUsers:
		return localUserFields()
	case General:
		return generalFields(doc.Text("id"))
	}
	return nil
}

const idHelp = "Lower-case letters, digits and dashes. It can’t be changed later."

func connectorFields(t connectors.Type) []form.Field {
	fields := []form.Field{
		{Key: "id", Label: "ID", Kind: form.Text, Required: true, Fixed: true, Section: "On the sign-in page", Placeholder: t.Name, Help: idHelp + " It is part of every user and group name."},
		{Key: "name", Label: "Name", Help: "The button says “Continue with …”.", Kind: form.Text, Placeholder: t.Label},
	}
	fields = append(fields, form.Prefixed("config.", t.Fields)...)
	return append(
		fields,
		form.Field{Key: "secondFactor", Label: "Ask everybody for a second factor", Help: "A code from an authenticator app, besides what the upstream asks for. Who has none sets one up at the next sign-in.", Kind: form.Bool, Section: "Names and notes", Advanced: true},
		form.Field{Key: "userPrefix", Label: "User name prefix", Help: "Put in front of every user name. The id and a colon when empty.", Kind: form.Text, Section: "Names and notes", Advanced: true},
		form.Field{Key: "groupPrefix", Label: "Group prefix", Help: "Put in front of every group name. The id and a colon when empty.", Kind: form.Text, Advanced: true},
		form.Field{Key: "hidden", Label: "Not on the sign-in page", Help: "Reachable by its own link only.", Kind: form.Bool, Advanced: true},
		form.Field{Key: "note", Label: "Note for admins", Kind: form.Long, Advanced: true},
	)
}

func clusterFields() []form.Field {
	var colors []form.Option
	for _, c := range Colors() {
		label := "No colour"
		if c != "" {
			label = strings.ToUpper(c[:1]) + c[1:]
		}
		colors = append(colors, form.Option{Value: c, Label: label})
	}
	return []form.Field{
		{Key: "id", Label: "ID", Help: idHelp + " It becomes the name of the context.", Kind: form.Text, Required: true, Fixed: true, Section: "Cluster", Placeholder: "prod-eu"},
		{Key: "name", Label: "Name", Kind: form.Text, Placeholder: "Production Europe"},
		{Key: "description", Label: "Description", Kind: form.Text},
		{Key: "environment", Label: "Environment", Help: "One word, shown beside the name.", Kind: form.Text, Placeholder: "production"},
		{Key: "color", Label: "Colour of the environment", Kind: form.Select, Options: colors},
		{Key: "labels", Label: "Labels", Help: "For rules: key=value, one a line.", Kind: form.Pairs, Placeholder: "env=prod"},
		{Key: "server", Label: "API server URL", Help: "What kubectl uses. https only.", Kind: form.Text, Required: true, Section: "Connection", Placeholder: "https://k8s.example.com:6443"},
		{Key: "ca", Label: "CA certificate", Help: "PEM. Leave empty when the address has a publicly trusted certificate.", Kind: form.PEM},
		{Key: "mode", Label: "How it checks tokens", Kind: form.Select, Options: []form.Option{
			{Value: string(store.ModeProxy), Label: "fairlead-proxy stands in front (EKS, GKE and others)"}, {Value: string(store.ModeDirect), Label: "Its API server trusts Fairlead"},
		}},
		{Key: "namespace", Label: "Default namespace", Kind: form.Text, Advanced: true},
		{Key: "audience", Label: "Token audience", Help: "k8s-ID when empty.", Kind: form.Text, Advanced: true},
		{Key: "algorithm", Label: "Signature", Kind: form.Select, Advanced: true, Options: []form.Option{{Value: "", Label: "RS256: every cluster knows it"}, {Value: "ES256", Label: "ES256: shorter and faster"}}},
		{Key: "tokenLife", Label: "Life of a token", Help: "5m to 1h. 10m when empty: someone who lost access keeps it at most this long.", Kind: form.Text, Advanced: true, Placeholder: "10m"},
		{Key: "tokenFile", Label: "Life of a token in a file", Help: "5m to 1h; nobody may have one when empty. For computers where no plugin may be installed. Whoever has the file is that person: leave it empty for production.", Kind: form.Text, Advanced: true, Placeholder: "1h"},
		{Key: "notes", Label: "Notes for the people who use it", Kind: form.Long, Advanced: true},
		{Key: "statusURL", Label: "Status address", Help: "Asked for {\"ready\": …} when the page is shown.", Kind: form.Text, Advanced: true},
		{Key: "failClosed", Label: "The proxy refuses when it hears nothing", Help: "When it has not heard of this server for the time below it refuses everything. Else tokens stay good for as long as they live, and nobody’s access can be taken away faster than that.", Kind: form.Bool, Section: "Proxy", Advanced: true},
		{Key: "staleAfter", Label: "It counts as hearing nothing after", Help: "30s to 24h. 2m when empty.", Kind: form.Text, Advanced: true, Placeholder: "2m"},
		{Key: "streamGrace", Label: "Shells and watches end after their token by", Help: "30s to 24h. When empty they go on until somebody’s access is taken away: kubectl can’t give a running shell a new token.", Kind: form.Text, Advanced: true, Placeholder: "8h"},
	}
}

func ruleFields() []form.Field {
	return []form.Field{
		{Key: "id", Label: "ID", Help: idHelp, Kind: form.Text, Required: true, Fixed: true, Section: "Rule", Placeholder: "developers"},
		{Key: "description", Label: "Why", Help: "A sentence that people see beside the cluster.", Kind: form.Text, Placeholder: "Developers use the test clusters"},
		{Key: "who.groups", Label: "Groups", Help: "With their prefix, one a line.", Kind: form.List, Section: "Who", Placeholder: "github:acme:platform"},
		{Key: "who.users", Label: "People", Help: "User names with their prefix, one a line.", Kind: form.List, Placeholder: "github:jane"},
		{Key: "who.domains", Label: "Mail domains", Help: "Of addresses that the connector vouches for, one a line.", Kind: form.List, Placeholder: "example.com"},
		{Key: "who.everyone", Label: "Everyone who can sign in", Kind: form.Bool},
		{Key: "who.connectors", Label: "Only through these connectors", Help: "By id, one a line. Leave empty for any.", Kind: form.List},
		{Key: "clusters.ids", Label: "Clusters", Help: "By id, one a line. * means all of them.", Kind: form.List, Section: "What they may use", Placeholder: "prod-eu"},
		{Key: "clusters.labels", Label: "Clusters with these labels", Help: "key=value, one a line. All must fit.", Kind: form.Pairs, Placeholder: "env=test"},
		{Key: "admin", Label: "Instead: makes admins of Fairlead", Help: "A rule names clusters or makes admins, not both.", Kind: form.Bool, Advanced: true},
	}
}

func clientFields() []form.Field {
	return []form.Field{
		{Key: "id", Label: "Client ID", Help: idHelp, Kind: form.Text, Required: true, Fixed: true, Section: "Client", Placeholder: "grafana"},
		{Key: "name", Label: "Name", Help: "What people see when they sign in.", Kind: form.Text, Placeholder: "Grafana"},
		{Key: "public", Label: "Public", Help: "It runs where it can’t keep a secret: in a browser, on people’s computers. It must use PKCE.", Kind: form.Bool},
		{Key: "redirectURIs", Label: "Redirect URIs", Help: "Where answers may go, exactly, one a line.", Kind: form.List, Section: "Addresses", Placeholder: "https://grafana.example.com/login/generic_oauth"},
		{Key: "postLogoutRedirectURIs", Label: "Post-logout redirect URIs", Help: "One a line.", Kind: form.List, Advanced: true},
		{Key: "backchannelLogoutURI", Label: "Back-channel logout URI", Help: "Told when a person signs out.", Kind: form.Text, Advanced: true},
		{Key: "grants", Label: "Grants", Help: "authorization_code, refresh_token, device_code, client_credentials, token_exchange; one a line. The first two when empty.", Kind: form.List, Section: "Rights", Advanced: true},
		{Key: "firstParty", Label: "Ours: don’t ask for consent", Help: "Only for applications that you run yourselves.", Kind: form.Bool},
		{Key: "groups", Label: "Groups of the client itself", Help: "For client_credentials, one a line.", Kind: form.List, Advanced: true},
		{Key: "pkceOptional", Label: "Works without PKCE", Help: "Only for old applications.", Kind: form.Bool, Advanced: true, Danger: "A stolen code could be redeemed by whoever also has the secret."},
		{Key: "algorithm", Label: "Signature", Kind: form.Select, Advanced: true, Options: []form.Option{{Value: "", Label: "RS256"}, {Value: "ES256", Label: "ES256"}}},
		{Key: "keys", Label: "Public keys", Help: "A JSON Web Key Set, for private_key_jwt instead of a secret.", Kind: form.Long, Advanced: true},
	}
}

func issuerFields() []form.Field {
	return []form.Field{
		{Key: "id", Label: "ID", Help: idHelp, Kind: form.Text, Required: true, Fixed: true, Section: "Platform", Placeholder: "github-actions"},
		{Key: "url", Label: "Issuer URL", Help: "What its tokens name as iss.", Kind: form.Text, Required: true, Placeholder: "https://token.actions.githubusercontent.com"},
		{Key: "audience", Label: "Audience", Help: "What its tokens must be made for. This server’s address is a good choice.", Kind: form.Text, Required: true},
		{Key: "keys", Label: "Keys", Help: "A JSON Web Key Set, when this server can’t reach the issuer.", Kind: form.Long, Advanced: true},
		{Key: "ca", Label: "CA certificate", Kind: form.PEM, Advanced: true},
	}
}

func machineFields() []form.Field {
	return []form.Field{
		{Key: "id", Label: "ID", Help: idHelp + " Clusters see machine:ID.", Kind: form.Text, Required: true, Fixed: true, Section: "Machine", Placeholder: "deploy-web"},
		{Key: "description", Label: "Description", Kind: form.Text},
		{Key: "issuer", Label: "Trusted issuer", Help: "Its id.", Kind: form.Text, Required: true},
		{Key: "claims", Label: "Claims", Help: "claim=value, one a line; exact values. All claims must fit; a claim on several lines may have any of its values.", Kind: form.Claims, Required: true, Placeholder: "repository=acme/web"},
		{Key: "groups", Label: "Groups", Help: "For access rules and RBAC, one a line.", Kind: form.List},
	}
}

func localUserFields() []form.Field {
	return []form.Field{
		{Key: "login", Label: "User name", Help: "What the person types. It can’t be changed later.", Kind: form.Text, Required: true, Fixed: true, Section: "Person", Placeholder: "jane"},
		{Key: "name", Label: "Name", Kind: form.Text, Placeholder: "Jane Doe"},
		{Key: "email", Label: "Mail address", Kind: form.Text, Placeholder: "jane@example.com"},
		{Key: "groups", Label: "Groups", Help: "One a line, without prefix.", Kind: form.List},
	}
}
