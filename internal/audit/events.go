package audit

// Name is the name of an event. Names are never renamed or reused, because operators search for them years later. A
// test compares docs/audit-events.md with this list.
type Name string

// Sign-ins.
const (
	SignInSucceeded Name = "sign_in.succeeded"
	SignInFailed    Name = "sign_in.failed"
	SignInRefused   Name = "sign_in.refused"
	SignInEnded     Name = "sign_in.ended"
)

// Protocol.
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

// Downloads and tokens from the portal.
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
	UserRemoved  Name = "user.removed"
	UserReturned Name = "user.returned"
	// SignOutRefused: a client other than kubectl-fairlead tried to end all sessions and devices of a user.
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
	// ProxyEnrolled: a proxy got an identity with a one-time code. ProxyNotEnrolled: a code, or a request of an
	// unknown proxy, was refused. ProxyRemoved: an admin deleted the identity.
	ProxyEnrolled    Name = "proxy.enrolled"
	ProxyNotEnrolled Name = "proxy.not_enrolled"
	ProxyRemoved     Name = "proxy.removed"
	// ProxyReportRefused: a proxy reported an event that proxies may not report.
	ProxyReportRefused Name = "proxy.report_refused"
	// RecordingKept: a proxy uploaded the recording of a shell. The reason says whether it is complete and
	// unchanged. RecordingRefused: the recording belongs to another proxy, or exceeds the storage limit.
	// RecordingSeen: an admin watched or downloaded a recording.
	RecordingKept    Name = "recording.kept"
	RecordingRefused Name = "recording.refused"
	RecordingSeen    Name = "recording.seen"
	// ProxyStreamEnded: the proxy closed a shell, a watch or a similar stream, because the user's access was
	// revoked or has expired.
	ProxyStreamEnded Name = "proxy.stream_ended"
	// ProxyActedAs: the proxy forwarded a user's request with kubectl --as.
	ProxyActedAs Name = "proxy.acted_as"
	// ProxySessionEnded: an exec, attach or port-forward session ended.
	ProxySessionEnded Name = "proxy.session_ended"
	// ProxyDenied: the API server's own authorization refused a forwarded request.
	ProxyDenied Name = "proxy.denied"
)

// Names returns every event name, in the order above.
func Names() []Name {
	return []Name{
		SignInSucceeded, SignInFailed, SignInRefused, SignInEnded,
		AuthorizationRefused, AuthorizationGranted, TokenIssued, TokenRefused, TokenReplayed, TokenRevoked, DeviceRevoked,
		DeviceCodeRequested, DeviceCodeRefused, ConsentGranted, ConsentRevoked, ClientNotified, ClientNotNotified,
		KubeconfigDownloaded, AccessRefused,
		UserCreated, UserChanged, UserDisabled, UserEnabled, UserRevoked, UserRemoved, UserReturned, SignOutRefused, WorkloadRefused, UpstreamRefused, UpstreamOutage, GroupLeftOut,
		KeyCreated, KeyActivated, KeyRetired, KeyRevoked, SettingsLoaded,
		AdminRefused, AdminChanged, AdminTrialEnded, AdminRead, ConnectorTested, LinkCreated, LinkRefused, RecoveryUsed, RecoveryFailed,
		FactorChanged, FactorRefused, PasswordSet, APITokenCreated, APITokenRevoked, SettingsNotLoaded,
		ProxyRequest, ProxyActedAs, ProxyRefused, ProxyStreamEnded, ProxySessionEnded, ProxyDenied, ProxyEnrolled, ProxyNotEnrolled, ProxyRemoved, ProxyReportRefused,
		RecordingKept, RecordingRefused, RecordingSeen,
	}
}
