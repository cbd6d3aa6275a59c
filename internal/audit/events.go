package audit

// Name names an event. Names are never renamed or reused: people search for
// them years later. docs/audit-events.md is held equal to this list by a test.
type Name string

// Sign-ins.
const (
	SignInSucceeded Name = "sign_in.succeeded"
	SignInFailed    Name = "sign_in.failed"
	SignInRefused   Name = "sign_in.refused"
	SignInEnded     Name = "sign_in.ended"
)

// The protocol.
const (
	AuthorizationRefused Name = "authorization.refused"
	AuthorizationGranted Name = "authorization.granted"
	TokenIssued          Name = "token.issued"
	TokenRefused         Name = "token.refused"
	TokenReplayed        Name = "token.replayed"
	DeviceRevoked        Name = "device.revoked"
)

// What the person takes from the portal.
const (
	KubeconfigDownloaded Name = "kubeconfig.downloaded"
	AccessRefused        Name = "access.refused"
)

// Accounts and upstreams.
const (
	UserCreated     Name = "user.created"
	UserChanged     Name = "user.changed"
	UserDisabled    Name = "user.disabled"
	UpstreamRefused Name = "upstream.refused"
	UpstreamOutage  Name = "upstream.outage"
)

// Operations.
const (
	KeyCreated     Name = "key.created"
	KeyActivated   Name = "key.activated"
	KeyRetired     Name = "key.retired"
	SettingsLoaded Name = "settings.loaded"
)

// The proxy.
const (
	ProxyRequest Name = "proxy.request"
	ProxyRefused Name = "proxy.refused"
)

// Names returns every event name, in the order of the list above.
func Names() []Name {
	return []Name{
		SignInSucceeded, SignInFailed, SignInRefused, SignInEnded,
		AuthorizationRefused, AuthorizationGranted, TokenIssued, TokenRefused, TokenReplayed, DeviceRevoked,
		KubeconfigDownloaded, AccessRefused,
		UserCreated, UserChanged, UserDisabled, UpstreamRefused, UpstreamOutage,
		KeyCreated, KeyActivated, KeyRetired, SettingsLoaded,
		ProxyRequest, ProxyRefused,
	}
}
