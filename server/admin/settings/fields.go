package settings

import (
	"strings"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// The kinds of entry: the keys of the configuration file.
const (
	Connectors = "connectors"
	LocalUsers = "localUsers"
	Clusters   = "clusters"
	Rules      = "rules"
	Clients    = "clients"
	Issuers    = "trustedIssuers"
	Workloads  = "workloads"
)

// Kind describes a kind of entry.
type Kind struct {
	// Name is the key in the configuration file. Path is the name in URLs.
	Name, Path string
	// One and Many are the singular and plural names. About describes the kind in a sentence.
	One, Many, About string
	// IDKey is the key of the id.
	IDKey string
}

// Kinds lists the kinds. Each kind comes after those that it refers to.
func Kinds() []Kind {
	return []Kind{
		{Connectors, "connectors", "connector", "Connectors", "The identity providers that users sign in with: a directory, GitHub, another OpenID provider.", "id"},
		{LocalUsers, "local-users", "local user", "Local users", "Accounts with a password on this server, for users who have no account with a provider.", "login"},
		{Clusters, "clusters", "cluster", "Clusters", "The Kubernetes clusters that users reach through Fairlead.", "id"},
		{Rules, "rules", "access rule", "Access rules", "Each rule gives some users access to some clusters. Rules only allow; nothing is denied by a rule.", "id"},
		{Clients, "clients", "client", "Clients", "Applications that sign users in with Fairlead, such as Grafana or Argo CD.", "id"},
		{Issuers, "trusted-issuers", "trusted issuer", "Trusted issuers", "CI platforms and clouds whose tokens Fairlead accepts from workloads.", "id"},
		{General, "general", "general setting", "Settings", "Settings for everyone: how long sessions last, and how this installation looks.", "id"},
		{Workloads, "workloads", "workload", "Workloads", "CI jobs and other programs that get tokens for clusters with their platform’s token.", "id"},
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

// Fields returns the form fields of a kind of document. Those of a connector depend on its type.
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
	case Workloads:
		return workloadFields()
	case LocalUsers:
		return localUserFields()
	case General:
		return generalFields(doc.Text("id"))
	}
	return nil
}

const idHelp = "Use lower-case letters, digits and dashes. It can’t be changed later."

func connectorFields(t connectors.Type) []form.Field {
	fields := []form.Field{
		{Key: "id", Label: "ID", Kind: form.Text, Required: true, Fixed: true, Section: "On the sign-in page", Placeholder: t.Name, Help: idHelp + " It becomes part of every user and group name."},
		{Key: "name", Label: "Name", Help: "The sign-in button shows it: “Continue with …”.", Kind: form.Text, Placeholder: t.Label},
	}
	fields = append(fields, form.Prefixed("config.", t.Fields)...)
	return append(
		fields,
		form.Field{Key: "secondFactor", Label: "Require a second factor", Help: "Users also enter a code from an authenticator app. Users who have none set one up at their next sign-in.", Kind: form.Bool, Section: "Names and notes", Advanced: true},
		form.Field{Key: "userPrefix", Label: "User name prefix", Help: "Added in front of every user name. Default: the ID and a colon. Enter none for no prefix.", Kind: form.Text, EmptyWord: noPrefix, Section: "Names and notes", Advanced: true},
		form.Field{Key: "groupPrefix", Label: "Group prefix", Help: "Added in front of every group name. Default: the ID and a colon. Enter none for no prefix.", Kind: form.Text, EmptyWord: noPrefix, Advanced: true},
		form.Field{Key: "hidden", Label: "Hide from the sign-in page", Help: "Users then reach it only with its own link.", Kind: form.Bool, Advanced: true},
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
		{Key: "id", Label: "ID", Help: idHelp + " kubectl uses it as the name of the context.", Kind: form.Text, Required: true, Fixed: true, Section: "Cluster", Placeholder: "prod-eu"},
		{Key: "name", Label: "Name", Kind: form.Text, Placeholder: "Production Europe"},
		{Key: "description", Label: "Description", Kind: form.Text},
		{Key: "environment", Label: "Environment", Help: "One word that is shown next to the name.", Kind: form.Text, Placeholder: "production"},
		{Key: "color", Label: "Colour of the environment", Kind: form.Select, Options: colors},
		{Key: "labels", Label: "Labels", Help: "Access rules can select clusters by label. Enter one key=value per line.", Kind: form.Pairs, Placeholder: "env=prod"},
		{Key: "server", Label: "API server URL", Help: "The address that kubectl connects to. It must start with https://.", Kind: form.Text, Required: true, Section: "Connection", Placeholder: "https://k8s.example.com:6443"},
		{Key: "ca", Label: "CA certificate", Help: "In PEM format. Leave empty if a public CA issued the server’s certificate.", Kind: form.PEM},
		{Key: "mode", Label: "Connection type", Kind: form.Select, Options: []form.Option{
			{Value: string(store.ModeProxy), Label: "Through fairlead-proxy: for every Kubernetes, such as EKS"}, {Value: string(store.ModeDirect), Label: "Direct: the API server accepts Fairlead’s tokens"},
		}},
		{Key: "namespace", Label: "Default namespace", Help: "The namespace in the downloaded kubeconfig.", Kind: form.Text, Advanced: true},
		{Key: "audience", Label: "Token audience", Help: "The aud claim of tokens for this cluster. Default: k8s-ID.", Kind: form.Text, Advanced: true},
		{Key: "algorithm", Label: "Signature algorithm", Kind: form.Select, Advanced: true, Options: []form.Option{{Value: "", Label: "RS256: works with every cluster"}, {Value: "ES256", Label: "ES256: shorter and faster"}}},
		{Key: "tokenLife", Label: "Token lifetime", Help: "5m to 1h. Default: 10m. A user who loses access can use the last token for at most this long.", Kind: form.Text, Advanced: true, Placeholder: "10m", Default: "10m"},
		{Key: "tokenFile", Label: "Lifetime of a token in a downloaded file", Help: "5m to 1h. Default: off. For computers where users can’t install the plugin. The file gives its holder the user’s access, so leave it off for production.", Kind: form.Text, Advanced: true, Placeholder: "1h"},
		{Key: "notes", Label: "Notes for users", Help: "Shown on the cluster’s page.", Kind: form.Long, Advanced: true},
		{Key: "statusURL", Label: "Status URL", Help: "The cluster’s page asks it for {\"ready\": …} each time it is shown.", Kind: form.Text, Advanced: true},
		{Key: "failClosed", Label: "Refuse requests without news from this server", Help: "The proxy refuses every request when this server has been unreachable for the time below. If this is off, the proxy accepts tokens until they expire, and revoked access ends only then.", Kind: form.Bool, Section: "Proxy", Advanced: true},
		{Key: "staleAfter", Label: "This server counts as unreachable after", Help: "30s to 24h. Default: 2m.", Kind: form.Text, Advanced: true, Placeholder: "2m", Default: "2m"},
		{Key: "streamGrace", Label: "Shells and watches may outlive their token by", Help: "30s to 24h. Default: no limit; they end when the user’s access is revoked. kubectl can’t renew the token of a running shell.", Kind: form.Text, Advanced: true, Placeholder: "8h"},
	}
}

func ruleFields() []form.Field {
	return []form.Field{
		{Key: "id", Label: "ID", Help: idHelp, Kind: form.Text, Required: true, Fixed: true, Section: "Rule", Placeholder: "developers"},
		{Key: "description", Label: "Description", Help: "Users see this sentence next to the cluster, as the reason for their access.", Kind: form.Text, Placeholder: "Developers use the test clusters"},
		{Key: "who.groups", Label: "Groups", Help: "Enter one group per line, with its prefix.", Kind: form.List, Section: "Who", Placeholder: "github:acme:platform"},
		{Key: "who.users", Label: "People", Help: "Enter one user name per line, with its prefix.", Kind: form.List, Placeholder: "github:jane"},
		{Key: "who.domains", Label: "Email domains", Help: "Enter one domain per line. Only verified email addresses match.", Kind: form.List, Placeholder: "example.com"},
		{Key: "who.everyone", Label: "Everyone who can sign in", Kind: form.Bool},
		{Key: "who.connectors", Label: "Only users of these connectors", Help: "Enter one connector ID per line. Default: users of every connector.", Kind: form.List},
		{Key: "clusters.ids", Label: "Clusters", Help: "Enter one cluster ID per line. * means every cluster.", Kind: form.List, Section: "May use", Placeholder: "prod-eu"},
		{Key: "clusters.labels", Label: "Clusters with these labels", Help: "Enter one key=value per line. A cluster must have all of them.", Kind: form.Pairs, Placeholder: "env=test"},
		{Key: "admin", Label: "Make these people admins of Fairlead", Help: "A rule either gives access to clusters or makes admins, not both.", Kind: form.Bool, Advanced: true},
	}
}

func clientFields() []form.Field {
	return []form.Field{
		{Key: "id", Label: "Client ID", Help: idHelp, Kind: form.Text, Required: true, Fixed: true, Section: "Client", Placeholder: "grafana"},
		{Key: "name", Label: "Name", Help: "Users see it when they sign in.", Kind: form.Text, Placeholder: "Grafana"},
		{Key: "public", Label: "Public client", Help: "The application can’t keep a secret because it runs in a browser or on users’ computers. It must use PKCE.", Kind: form.Bool},
		{Key: "redirectURIs", Label: "Redirect URIs", Help: "The addresses to which Fairlead may send users after they sign in. Enter one full address per line. It must match exactly.", Kind: form.List, Section: "Addresses", Placeholder: "https://grafana.example.com/login/generic_oauth"},
		{Key: "postLogoutRedirectURIs", Label: "Post-logout redirect URIs", Help: "The addresses to which Fairlead may send users after they sign out. Enter one per line.", Kind: form.List, Advanced: true},
		{Key: "backchannelLogoutURI", Label: "Back-channel logout URI", Help: "Fairlead calls it when a user’s sign-in ends.", Kind: form.Text, Advanced: true},
		{Key: "grants", Label: "Grant types", Help: "Enter one per line: authorization_code, refresh_token, device_code, client_credentials or token_exchange. Default: the first two.", Kind: form.List, Section: "Rights", Advanced: true},
		{Key: "firstParty", Label: "Skip the consent page", Help: "Choose this only for applications that your organization runs.", Kind: form.Bool},
		{Key: "groups", Label: "Groups of the client itself", Help: "Used with client_credentials. Enter one per line.", Kind: form.List, Advanced: true},
		{Key: "pkceOptional", Label: "Allow sign-in without PKCE", Help: "Choose this only for applications that don’t support PKCE.", Kind: form.Bool, Advanced: true, Danger: "Anyone who steals an authorization code and knows the client secret could use the code."},
		{Key: "algorithm", Label: "Signature algorithm", Kind: form.Select, Advanced: true, Options: []form.Option{{Value: "", Label: "RS256"}, {Value: "ES256", Label: "ES256"}}},
		{Key: "keys", Label: "Public keys", Help: "A JSON Web Key Set. The client then authenticates with private_key_jwt instead of a secret.", Kind: form.Long, Advanced: true},
	}
}

func issuerFields() []form.Field {
	return []form.Field{
		{Key: "id", Label: "ID", Help: idHelp, Kind: form.Text, Required: true, Fixed: true, Section: "Platform", Placeholder: "github-actions"},
		{Key: "url", Label: "Issuer URL", Help: "The iss claim of the platform’s tokens.", Kind: form.Text, Required: true, Placeholder: "https://token.actions.githubusercontent.com"},
		{Key: "audience", Label: "Audience", Help: "The aud claim that its tokens must have. Use this server’s address.", Kind: form.Text, Required: true},
		{Key: "keys", Label: "Public keys", Help: "A JSON Web Key Set. Enter it if this server can’t reach the issuer.", Kind: form.Long, Advanced: true},
		{Key: "ca", Label: "CA certificate", Help: "In PEM format. Leave empty if a public CA issued the issuer’s certificate.", Kind: form.PEM, Advanced: true},
	}
}

func workloadFields() []form.Field {
	return []form.Field{
		{Key: "id", Label: "ID", Help: idHelp + " Clusters see the user workload:ID.", Kind: form.Text, Required: true, Fixed: true, Section: "Workload", Placeholder: "deploy-web"},
		{Key: "description", Label: "Description", Kind: form.Text},
		{Key: "issuer", Label: "Trusted issuer", Help: "Enter the ID of the trusted issuer.", Kind: form.Text, Required: true},
		{Key: "claims", Label: "Claims", Help: "Enter one claim=value per line. Values must match exactly, and every claim must match. Repeat a claim to accept several values.", Kind: form.Claims, Required: true, Placeholder: "repository=acme/web"},
		{Key: "groups", Label: "Groups", Help: "Access rules and RBAC use them. Enter one per line.", Kind: form.List},
	}
}

func localUserFields() []form.Field {
	return []form.Field{
		{Key: "login", Label: "User name", Help: "The user types it to sign in. It can’t be changed later.", Kind: form.Text, Required: true, Fixed: true, Section: "User", Placeholder: "jane"},
		{Key: "name", Label: "Name", Kind: form.Text, Placeholder: "Jane Doe"},
		{Key: "email", Label: "Email address", Kind: form.Text, Placeholder: "jane@example.com"},
		{Key: "groups", Label: "Groups", Help: "Enter one per line, without a prefix.", Kind: form.List},
	}
}
