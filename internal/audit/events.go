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
	TokenRevoked         Name = "token.revoked"
	DeviceRevoked        Name = "device.revoked"
	DeviceCodeRequested  Name = "device_code.requested"
	DeviceCodeRefused    Name = "device_code.refused"
	ConsentGranted       Name = "consent.granted"
	ConsentRevoked       Name = "consent.revoked"
	ClientNotified       Name = "client.notified"
	ClientNotNotified    Name = "client.not_notified"
)

// What the person takes from the portal.
const (
	KubeconfigDownloaded Name = "kubeconfig.downloaded"
	AccessRefused        Name = "access.refused"
)

// Accounts and upstreams.
const (
	UserCreated  Name = "user.created"
	UserChanged  Name = "user.changed"
	UserDisabled Name = "user.disabled"
	UserEnabled  Name = "user.enabled"
	UserRevoked  Name = "user.revoked"
	// SignOutRefused: a client that is not kubectl-fairlead tried to end all that a person has.
	SignOutRefused  Name = "sign_out.refused"
	WorkloadRefused Name = "workload.refused"
	UpstreamRefused Name = "upstream.refused"
	UpstreamOutage  Name = "upstream.outage"
	GroupLeftOut    Name = "upstream.group_left_out"
)

// Operations.
const (
	KeyCreated     Name = "key.created"
	KeyActivated   Name = "key.activated"
	KeyRetired     Name = "key.retired"
	KeyRevoked     Name = "key.revoked"
	SettingsLoaded Name = "settings.loaded"
)

// Administration.
const (
	AdminRefused      Name = "admin.refused"
	AdminChanged      Name = "admin.changed"
	AdminTrialEnded   Name = "admin.trial_ended"
	AdminRead         Name = "admin.read"
	ConnectorTested   Name = "connector.tested"
	LinkCreated       Name = "link.created"
	LinkRefused       Name = "link.refused"
	RecoveryUsed      Name = "recovery.used"
	RecoveryFailed    Name = "recovery.failed"
	FactorChanged     Name = "factor.changed"
	FactorRefused     Name = "factor.refused"
	PasswordSet       Name = "password.set"
	APITokenCreated   Name = "api_token.created"
	APITokenRevoked   Name = "api_token.revoked"
	SettingsNotLoaded Name = "settings.not_loaded"
)

// The proxy.
const (
	ProxyRequest Name = "proxy.request"
	ProxyRefused Name = "proxy.refused"
	// ProxyEnrolled: a proxy got an identity with a one-time code. ProxyNotEnrolled: a code,
	// or a proxy that asked, was refused. ProxyRemoved: an admin took the identity away.
	ProxyEnrolled    Name = "proxy.enrolled"
	ProxyNotEnrolled Name = "proxy.not_enrolled"
	ProxyRemoved     Name = "proxy.removed"
	// ProxyReportRefused: a proxy told of something that is not a proxy's to tell.
	ProxyReportRefused Name = "proxy.report_refused"
	// RecordingKept: a proxy handed in the recording of a shell; the reason says whether it
	// is whole and unchanged. RecordingRefused: it was another proxy's, or there is no room.
	// RecordingSeen: an admin looked at one, or took its file.
	RecordingKept    Name = "recording.kept"
	RecordingRefused Name = "recording.refused"
	RecordingSeen    Name = "recording.seen"
	// ProxyStreamEnded: a shell, a watch or the like was ended because its person may not
	// have it any more.
	ProxyStreamEnded Name = "proxy.stream_ended"
	// ProxyActedAs: the proxy forwards a request of somebody as somebody else.
	ProxyActedAs Name = "proxy.acted_as"
	// ProxySessionEnded: an exec, attach or port-forward ended by itself.
	ProxySessionEnded Name = "proxy.session_ended"
	// ProxyDenied: the API server's own rules refused what the proxy had forwarded.
	ProxyDenied Name = "proxy.denied"
)

// Names returns every event name, in the order of the list above.
func Names() []Name {
	return []Name{
		SignInSucceeded, SignInFailed, SignInRefused, SignInEnded,
		AuthorizationRefused, AuthorizationGranted, TokenIssued, TokenRefused, TokenReplayed, TokenRevoked, DeviceRevoked,
		DeviceCodeRequested, DeviceCodeRefused, ConsentGranted, ConsentRevoked, ClientNotified, ClientNotNotified,
		KubeconfigDownloaded, AccessRefused,
		UserCreated, UserChanged, UserDisabled, UserEnabled, UserRevoked, SignOutRefused, WorkloadRefused, UpstreamRefused, UpstreamOutage, GroupLeftOut,
		KeyCreated, KeyActivated, KeyRetired, KeyRevoked, SettingsLoaded,
		AdminRefused, AdminChanged, AdminTrialEnded, AdminRead, ConnectorTested, LinkCreated, LinkRefused, RecoveryUsed, RecoveryFailed,
		FactorChanged, FactorRefused, PasswordSet, APITokenCreated, APITokenRevoked, SettingsNotLoaded,
		ProxyRequest, ProxyActedAs, ProxyRefused, ProxyStreamEnded, ProxySessionEnded, ProxyDenied, ProxyEnrolled, ProxyNotEnrolled, ProxyRemoved, ProxyReportRefused,
		RecordingKept, RecordingRefused, RecordingSeen,
	}
}
