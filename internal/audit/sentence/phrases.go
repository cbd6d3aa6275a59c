package sentence

import (
	"strings"

	"github.com/fairlead-auth/fairlead/internal/audit"
)

// address adds only the network address.
func address(e *audit.Event) []string { return []string{from(e)} }

// phrases maps each event name to its phrase.
func phrases() map[audit.Name]phrase { return table }

var table = map[audit.Name]phrase{
	audit.SignInSucceeded: {SignIn, Good, "{user} signed in with {connector}", nil, nil},
	audit.SignInFailed:    {SignIn, Caution, "", failedAs, nil},
	audit.SignInRefused:   {Refused, Serious, "{connector} did not let {user} in", nil, nil},
	audit.SignInEnded:     {SignIn, Plain, "{user} signed out of a browser", nil, nil},
	audit.UserCreated:     {SignIn, Good, "", by("{actor} created {user}", "{user} signed in for the first time, with {connector}"), address},
	audit.UserChanged:     {SignIn, Plain, "", by("{actor} changed {user}", "{user} changed in {connector}"), nil},
	audit.UpstreamRefused: {Refused, Serious, "{connector} no longer lets {user} in", nil, nil},
	audit.UpstreamOutage:  {SignIn, Caution, "{connector} did not answer about {user}", nil, nil},
	audit.GroupLeftOut:    {SignIn, Caution, "A group of {user} was left out of tokens", nil, nil},
	audit.SignOutRefused:  {Refused, Caution, "{client} may not sign {user} out everywhere", nil, nil},
	audit.FactorChanged:   {SignIn, Plain, "", by("{actor} changed the second factor of {user}", "{user} changed a second factor"), nil},
	audit.FactorRefused:   {Refused, Caution, "{user} could not change a second factor", nil, nil},
	audit.PasswordSet:     {SignIn, Good, "{user} set a password by invitation", nil, nil},
	audit.RecoveryUsed:    {SignIn, Caution, "{user} signed in with a recovery account", nil, nil},
	audit.RecoveryFailed:  {Refused, Serious, "A sign-in with a recovery account failed", nil, nil},

	audit.AuthorizationRefused: {Refused, Caution, "{client} did not get a sign-in of {user}", nil, nil},
	audit.AuthorizationGranted: {Tokens, Plain, "{user} signed in to {client}", nil, nil},
	audit.ConsentGranted:       {Tokens, Plain, "{user} allowed {client} to know who they are", nil, nil},
	audit.ConsentRevoked:       {Tokens, Plain, "{user} took the consent for {client} back", nil, nil},
	audit.TokenIssued:          {Tokens, Plain, "", issued, more(issuedFor)},
	audit.TokenRefused:         {Refused, Caution, "{client} got no token for {user}", nil, nil},
	audit.TokenReplayed:        {Refused, Serious, "A used token of {user} came back: everything that came from it has ended", nil, nil},
	audit.TokenRevoked:         {Tokens, Plain, "{client} ended a token of {user}", nil, nil},
	audit.DeviceRevoked:        {Tokens, Plain, "A device of {user} was signed out", nil, nil},
	audit.DeviceCodeRequested:  {Tokens, Plain, "{client} asked for a device code", nil, nil},
	audit.DeviceCodeRefused:    {Refused, Caution, "{user} refused a device code of {client}", nil, nil},
	audit.ClientNotified:       {Tokens, Plain, "{client} was told that a sign-in of {user} has ended", nil, nil},
	audit.ClientNotNotified:    {Tokens, Caution, "{client} could not be told that a sign-in of {user} has ended", nil, nil},
	audit.WorkloadRefused:      {Refused, Caution, "A workload got no token", nil, nil},
	audit.KubeconfigDownloaded: {Tokens, Plain, "{user} downloaded a kubeconfig", nil, nil},
	audit.AccessRefused:        {Refused, Serious, "{user} may not use {cluster}", nil, nil},

	audit.ProxyRequest:       {Clusters, Plain, "", requested, more(requestLine)},
	audit.ProxyActedAs:       {Clusters, Caution, "{user} acted as another user in {object}", nil, nil},
	audit.ProxyRefused:       {Refused, Serious, "{cluster} refused a request of {user}", nil, nil},
	audit.ProxyDenied:        {Refused, Caution, "The API server of {cluster} denied a request of {user}", nil, nil},
	audit.ProxyStreamEnded:   {Shells, Serious, "", streamEnded, nil},
	audit.ProxySessionEnded:  {Shells, Plain, "", sessionEnded, more(requestEnd)},
	audit.RecordingKept:      {Shells, Plain, "The recording of {user} in {cluster} is ready", nil, more(recordingKept)},
	audit.RecordingRefused:   {Shells, Serious, "A recording from {cluster} was refused", nil, nil},
	audit.RecordingSeen:      {Shells, Plain, "{user} watched a recording of {cluster}", nil, nil},
	audit.ProxyEnrolled:      {Changes, Good, "A proxy enrolled for {cluster}", nil, nil},
	audit.ProxyNotEnrolled:   {Refused, Serious, "A proxy could not enroll", nil, nil},
	audit.ProxyRemoved:       {Changes, Caution, "{user} removed a proxy of {cluster}", nil, nil},
	audit.ProxyReportRefused: {Refused, Serious, "A proxy of {cluster} sent events that are not a proxy's", nil, nil},

	audit.UserDisabled:      {Changes, Serious, "", by("{actor} disabled {user}", "{user} was disabled"), nil},
	audit.UserEnabled:       {Changes, Good, "", by("{actor} enabled {user}", "{user} was enabled again"), nil},
	audit.UserRevoked:       {Changes, Caution, "", by("{actor} ended sessions of {user}", "{user} ended all their sessions"), nil},
	audit.UserRemoved:       {Changes, Serious, "", by("{actor} removed {user}", "{user} was removed"), nil},
	audit.UserReturned:      {Changes, Caution, "{user} returned the people of a connector", nil, nil},
	audit.AdminChanged:      {Changes, Plain, "", changed, more(revision)},
	audit.AdminTrialEnded:   {Changes, Plain, "", trialEnded, more(revision)},
	audit.AdminRefused:      {Refused, Serious, "{user} may not administer this server", nil, nil},
	audit.AdminRead:         {Changes, Plain, "", exported, address},
	audit.ConnectorTested:   {Changes, Plain, "{user} tested a connector", nil, nil},
	audit.LinkCreated:       {Changes, Plain, "{user} made a link for one use", nil, nil},
	audit.LinkRefused:       {Refused, Caution, "A link for one use was refused", nil, nil},
	audit.APITokenCreated:   {Changes, Plain, "{user} created an API token", nil, nil},
	audit.APITokenRevoked:   {Changes, Plain, "{user} ended an API token", nil, nil},
	audit.KeyCreated:        {System, Plain, "A signing key was made", nil, nil},
	audit.KeyActivated:      {System, Plain, "A signing key signs from now on", nil, nil},
	audit.KeyRetired:        {System, Plain, "A signing key signs no more", nil, nil},
	audit.KeyRevoked:        {System, Serious, "A signing key was revoked", nil, nil},
	audit.SettingsLoaded:    {System, Plain, "The configuration file was applied", nil, nil},
	audit.SettingsNotLoaded: {System, Serious, "The configuration file has faults and was not applied", nil, nil},
}

// more adapts a function that returns one detail.
func more(say func(e *audit.Event) string) func(e *audit.Event) []string {
	return func(e *audit.Event) []string { return []string{say(e), from(e)} }
}

// by selects a text for an actor who is not the user.
func by(actor, otherwise string) func(*audit.Event) string {
	return func(e *audit.Event) string {
		if e.ActorName != "" {
			return actor
		}
		return otherwise
	}
}

func failedAs(e *audit.Event) string {
	if e.UserID == "" && e.UserName != "" {
		return "An unknown user failed to sign in as {user} with {connector}"
	}
	return "{user} failed to sign in with {connector}"
}

func issued(e *audit.Event) string {
	to := "{client}"
	if e.ClusterID != "" {
		to = "{cluster}"
	}
	if e.Reason == "refresh_token" {
		return "{user} renewed a token for " + to
	}
	return "{user} got a token for " + to
}

func issuedFor(e *audit.Event) string {
	if e.Reason == "refresh_token" {
		return ""
	}
	return reason(e.Reason[strings.LastIndexAny(e.Reason, ":/")+1:])
}

func changed(e *audit.Event) string {
	switch e.Reason {
	case "create":
		return "{user} created {entry}"
	case "delete":
		return "{user} deleted {entry}"
	case "move":
		return "{user} moved {entry}"
	}
	return "{user} changed {entry}"
}

func trialEnded(e *audit.Event) string {
	if strings.Contains(e.Reason, "confirm") {
		return "{user} confirmed the change of {entry}"
	}
	return "The change of {entry} was taken back"
}

func revision(e *audit.Event) string {
	if _, number, found := strings.Cut(e.Detail, ", "); found {
		return number
	}
	return ""
}

func exported(e *audit.Event) string {
	if e.Reason == "audit_export" {
		return "{user} exported the audit log"
	}
	return "{user} exported the configuration"
}

func recordingKept(e *audit.Event) string {
	if e.Reason != "intact" {
		return "lines were changed or are missing"
	}
	_, title, _ := strings.Cut(e.Detail, " ")
	return title
}

// call is a request to a cluster, parsed from a detail such as "GET /api/v1/namespaces/a/pods/b/exec: 12 bytes".
type call struct{ method, path, rest string }

func request(e *audit.Event) call {
	var c call
	var line string
	line, c.rest, _ = strings.Cut(e.Detail, ": ")
	c.method, c.path, _ = strings.Cut(line, " ")
	c.path, _, _ = strings.Cut(c.path, " ")
	return c
}

// pod returns the namespace, the pod and the subresource of the request.
func (c call) pod() (namespace, pod, what string) {
	parts := strings.Split(strings.Trim(c.path, "/"), "/")
	if len(parts) >= 7 && parts[2] == "namespaces" && parts[4] == "pods" {
		return parts[3], parts[5], parts[6]
	}
	return "", "", ""
}

func (c call) object() string {
	namespace, pod, _ := c.pod()
	if pod == "" {
		return ""
	}
	return namespace + "/" + pod
}

// shell returns the noun for a subresource.
func (c call) shell() string {
	_, _, what := c.pod()
	switch what {
	case "exec", "attach":
		return "a shell in {object}"
	case "portforward":
		return "a forwarded port to {object}"
	}
	return "a stream to {cluster}"
}

func requested(e *audit.Event) string {
	if e.Reason == "upgrade" {
		return "{user} opened " + request(e).shell()
	}
	return "{user} sent a request to {cluster}"
}

func requestLine(e *audit.Event) string {
	if c := request(e); c.object() == "" {
		return e.Detail
	}
	return ""
}

func sessionEnded(e *audit.Event) string { return "{user} closed " + request(e).shell() }

func requestEnd(e *audit.Event) string { return request(e).rest }

func streamEnded(e *audit.Event) string {
	return "The proxy ended " + request(e).shell() + " of {user}"
}
