package store

// Effect says what an ending does to a holding.
type Effect string

// The effects.
const (
	Ends     Effect = "ends"
	Suspends Effect = "is suspended"
	Stays    Effect = "stays"
)

// Effect returns what the scope does to a holding.
func (s Scope) Effect(h Holding) Effect {
	_, reached := reach[s][h]
	switch {
	case reached:
		return Ends
	case (s == EndRefused || s == EndConnector) && (h == Devices || h == APITokens):
		return Suspends // mayMint and the question to the upstream refuse a refused user
	}
	return Stays
}

// RevokesClusterTokens reports whether proxies refuse cluster tokens that were issued before.
func (s Scope) RevokesClusterTokens() bool {
	return s.wholeUser() || s.Effect(Devices) == Ends || s.Effect(SignIns) == Ends
}

// EndingRow describes a scope for the documentation.
type EndingRow struct {
	Scope Scope
	// Act is the heading, and Doors are the acts of users, admins and upstreams that lead there.
	Act, Doors string
}

// Endings lists every scope with its doors.
func Endings() []EndingRow {
	return []EndingRow{
		{EndAccount, "Disable or remove a user", "*Disable* in the admin pages, in a bulk action or by the API; `fairlead user disable`; *Remove* in the admin pages or by the API; `fairlead admin people remove`; the user’s connector is deleted, by the file too"},
		{EndPerson, "Sign out everywhere", "*Sign out everywhere* in the admin pages; `kubectl fairlead logout --everywhere`; `fairlead user revoke`; new credentials of a recovery account; a local user gets a new password, is disabled or is removed, by the file too"},
		{EndRefused, "A clear no of the upstream", "the question to the upstream at a renewal, an exchange, a use of an API token or a change on a page"},
		{EndSignIn, "Sign out", "*Sign out* in the browser, beside a browser on the account page or in the admin pages; RP-initiated logout; another user signs in with the same browser"},
		{EndDevice, "Sign out a device", "*Sign out* beside a device; `kubectl fairlead logout`; the revocation endpoint; a refresh token or code that is used twice"},
		{EndDevices, "Sign out all devices", "the button below the devices on the account page"},
		{EndConsent, "Withdraw a permission", "*Withdraw* beside an application on the account page"},
		{EndClient, "Remove an application", "*Delete* in the admin pages or by the API; the configuration file without it"},
		{EndConnector, "Disable a connector", "*Disable* in the admin pages or by the API, for all users of the connector; the configuration file with `enabled: false`"},
	}
}

// Holdings lists what an ending may reach.
func Holdings() []Holding {
	list := make([]Holding, len(holdings))
	for i, h := range holdings {
		list[i] = h.name
	}
	return list
}
