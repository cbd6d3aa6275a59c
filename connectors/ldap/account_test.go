package ldap_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/ldap"
)

func TestAccountStates(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	fileTime := func(t time.Time) string { return strconv.FormatInt((t.Unix()+11_644_473_600)*10_000_000, 10) }
	day := func(t time.Time) string { return strconv.FormatInt(t.Unix()/86400, 10) }
	const healthy connectors.Outcome = ""
	const denied, later = connectors.OutcomeDenied, connectors.OutcomeSignInAgain
	for name, tc := range map[string]struct {
		attrs map[string]string
		want  connectors.Outcome
	}{
		"nothing said":              {nil, healthy},
		"normal account":            {map[string]string{"userAccountControl": "512"}, healthy},
		"disabled":                  {map[string]string{"userAccountControl": "514"}, denied},
		"control is no number":      {map[string]string{"userAccountControl": "z"}, denied},
		"locked out":                {map[string]string{"msDS-User-Account-Control-Computed": "16"}, later},
		"not locked out":            {map[string]string{"msDS-User-Account-Control-Computed": "0"}, healthy},
		"never expires":             {map[string]string{"accountExpires": "9223372036854775807"}, healthy},
		"never expires, zero":       {map[string]string{"accountExpires": "0"}, healthy},
		"expires now":               {map[string]string{"accountExpires": fileTime(now)}, denied},
		"expires in a second":       {map[string]string{"accountExpires": fileTime(now.Add(time.Second))}, healthy},
		"expiry is no number":       {map[string]string{"accountExpires": "y"}, denied},
		"nsAccountLock":             {map[string]string{"nsAccountLock": "true"}, denied},
		"nsAccountLock capitalized": {map[string]string{"nsAccountLock": "True"}, denied},
		"nsAccountLock off":         {map[string]string{"nsAccountLock": "false"}, healthy},
		"loginDisabled":             {map[string]string{"loginDisabled": "TRUE"}, denied},
		"locked for good":           {map[string]string{"pwdAccountLockedTime": "000001010000Z"}, denied},
		"locked":                    {map[string]string{"pwdAccountLockedTime": "20261122115900Z"}, later},
		"policy ended":              {map[string]string{"pwdEndTime": "20261122120000Z"}, denied},
		"principal expired":         {map[string]string{"krbPrincipalExpiration": "20261122115959Z"}, denied},
		"principal good":            {map[string]string{"krbPrincipalExpiration": "20271122115959Z"}, healthy},
		"principal with a fraction": {map[string]string{"krbPrincipalExpiration": "20271122115959.0Z"}, healthy},
		"principal elsewhere":       {map[string]string{"krbPrincipalExpiration": "202611221330+0130"}, denied},
		"principal unreadable":      {map[string]string{"krbPrincipalExpiration": "tomorrow"}, denied},
		"shadow expired yesterday":  {map[string]string{"shadowExpire": day(now.Add(-24 * time.Hour))}, denied},
		"shadow expires tomorrow":   {map[string]string{"shadowExpire": day(now.Add(24 * time.Hour))}, healthy},
		"shadow never":              {map[string]string{"shadowExpire": "-1"}, healthy},
		"shadow is no number":       {map[string]string{"shadowExpire": "x"}, denied},
	} {
		values := map[string][]string{}
		for attr, value := range tc.attrs {
			values[attr] = []string{value}
		}
		err := ldap.CheckAccount(goldap.NewEntry("uid=jane", values), now)
		if got := outcome(err); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

// outcome is the outcome of an error, or empty without one.
func outcome(err error) connectors.Outcome {
	if err == nil {
		return ""
	}
	return connectors.OutcomeOf(err)
}

func TestGeneralizedTime(t *testing.T) {
	t.Parallel()
	want := func(text string) time.Time {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	for text, at := range map[string]time.Time{
		"20261122115959Z":       want("2026-11-22T11:59:59Z"),
		"202611221159Z":         want("2026-11-22T11:59:00Z"),
		"2026112211Z":           want("2026-11-22T11:00:00Z"),
		"20261122115959.123Z":   want("2026-11-22T11:59:59Z"),
		"20261122115959,5+0100": want("2026-11-22T10:59:59Z"),
		"202611221159-05":       want("2026-11-22T16:59:00Z"),
		"2026112211.25Z":        want("2026-11-22T11:00:00Z"),
		"20161231235960Z":       want("2016-12-31T23:59:59Z"),
		"":                      {},
		"20261122115959":        time.Unix(0, 0), // RFC 4517 demands a zone
		"20261322115959Z":       time.Unix(0, 0),
		"20261122115959.Z":      time.Unix(0, 0),
		"20261122115959+1":      time.Unix(0, 0),
		"2026112211 5959Z":      time.Unix(0, 0),
	} {
		if got := ldap.GeneralizedTime(text); !got.Equal(at) {
			t.Errorf("%q: %v, want %v", text, got, at)
		}
	}
}

// FuzzGeneralizedTime checks that no text is read as a date that never comes.
func FuzzGeneralizedTime(f *testing.F) {
	for _, text := range []string{"20261122115959Z", "2026112211.25-05", "000001010000Z", "x", "20261122115959,5+0100"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if at := ldap.GeneralizedTime(text); at.IsZero() && text != "" && text[:1] != "0" {
			t.Errorf("%q reads as never", text)
		}
	})
}

// TestRefusedBinds reads the answers of real directories to a bind that they refuse.
func TestRefusedBinds(t *testing.T) {
	t.Parallel()
	const ad = "80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data %s, v1db1"
	for name, tc := range map[string]struct {
		code     uint16
		said     string
		controls []goldap.Control
		want     connectors.Outcome
		says     string
	}{
		"wrong password":               {goldap.LDAPResultInvalidCredentials, "", nil, connectors.OutcomeBadCredentials, ""},
		"AD, wrong password":           {goldap.LDAPResultInvalidCredentials, fmt.Sprintf(ad, "52e"), nil, connectors.OutcomeBadCredentials, ""},
		"AD, no such account":          {goldap.LDAPResultInvalidCredentials, fmt.Sprintf(ad, "525"), nil, connectors.OutcomeBadCredentials, ""},
		"AD, outside logon hours":      {goldap.LDAPResultInvalidCredentials, fmt.Sprintf(ad, "530"), nil, connectors.OutcomeSignInAgain, "at this time"},
		"AD, computer not allowed":     {goldap.LDAPResultInvalidCredentials, fmt.Sprintf(ad, "531"), nil, connectors.OutcomeSignInAgain, "from Fairlead's server"},
		"AD, password expired":         {goldap.LDAPResultInvalidCredentials, fmt.Sprintf(ad, "532"), nil, connectors.OutcomeSignInAgain, "password has expired"},
		"AD, disabled":                 {goldap.LDAPResultInvalidCredentials, fmt.Sprintf(ad, "533"), nil, connectors.OutcomeDenied, "disabled"},
		"AD, expired":                  {goldap.LDAPResultInvalidCredentials, fmt.Sprintf(ad, "701"), nil, connectors.OutcomeDenied, "expired"},
		"AD, must change":              {goldap.LDAPResultInvalidCredentials, fmt.Sprintf(ad, "773"), nil, connectors.OutcomeSignInAgain, "new password"},
		"AD, locked":                   {goldap.LDAPResultInvalidCredentials, fmt.Sprintf(ad, "775"), nil, connectors.OutcomeSignInAgain, "locked"},
		"389 DS, inactivated":          {goldap.LDAPResultUnwillingToPerform, "Account inactivated. Contact system administrator.", nil, connectors.OutcomeDenied, "disabled"},
		"389 DS, too many tries":       {goldap.LDAPResultConstraintViolation, "Exceed password retry limit. Please try later.", nil, connectors.OutcomeSignInAgain, "locked"},
		"389 DS, after a reset":        {0, "", []goldap.Control{&goldap.ControlVChuPasswordMustChange{MustChange: true}}, connectors.OutcomeSignInAgain, "new password"},
		"eDirectory, expired":          {goldap.LDAPResultUnwillingToPerform, "NDS error: log account expired (-220)", nil, connectors.OutcomeDenied, "log account expired"},
		"OpenLDAP, password expired":   {goldap.LDAPResultInvalidCredentials, "", []goldap.Control{policy(goldap.BeheraPasswordExpired)}, connectors.OutcomeSignInAgain, "password has expired"},
		"OpenLDAP, locked":             {goldap.LDAPResultInvalidCredentials, "", []goldap.Control{policy(goldap.BeheraAccountLocked)}, connectors.OutcomeSignInAgain, "locked"},
		"OpenLDAP, after a reset":      {0, "", []goldap.Control{policy(goldap.BeheraChangeAfterReset)}, connectors.OutcomeSignInAgain, "new password"},
		"OpenLDAP, nothing to say":     {0, "", []goldap.Control{policy(-1)}, "", ""},
		"busy":                         {goldap.LDAPResultBusy, "", nil, connectors.OutcomeUnavailable, ""},
		"a network error":              {goldap.ErrorNetwork, "connection reset by peer", nil, connectors.OutcomeUnavailable, ""},
		"the DN is no longer an entry": {goldap.LDAPResultNoSuchObject, "", nil, connectors.OutcomeBadCredentials, ""},
	} {
		var refused error
		if tc.code != 0 {
			refused = goldap.NewError(tc.code, errors.New(tc.said))
		}
		err := ldap.BindError(refused, tc.controls)
		if got := outcome(err); got != tc.want || tc.says != "" && !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %q (%v), want %q", name, got, err, tc.want)
		}
	}
}

func policy(code int8) goldap.Control {
	c := goldap.NewControlBeheraPasswordPolicy()
	c.Error = code
	return c
}

// TestRangedValues reads a list as Active Directory sends one with more than 1,500
// values (MS-ADTS section 3.1.1.3.1.3.3): a part of it, under a name with a range.
func TestRangedValues(t *testing.T) {
	t.Parallel()
	entry := goldap.NewEntry("cn=jane", map[string][]string{"memberOf;range=0-1499": {"cn=a"}, "seeAlso": {"cn=b"}})
	if groups, err := ldap.MemberOf(entry, "memberof"); outcome(err) != connectors.OutcomeUnusableIdentity || !strings.Contains(err.Error(), "1,500 groups") {
		t.Errorf("a part of the groups is read as %q, %v", groups, err)
	}
	if groups, err := ldap.MemberOf(entry, "SEEALSO"); err != nil || !slices.Equal(groups, []string{"cn=b"}) {
		t.Errorf("the whole list is read as %q, %v", groups, err)
	}
}

func TestBinaryIDs(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ attr, raw, want string }{
		{"entryUUID", "a1b2-c3", "a1b2-c3"},
		{"objectGUID", "sixteen-octets!!", hex.EncodeToString([]byte("sixteen-octets!!"))},
		{"objectguid", "\xff\x00", "ff00"},
		{"employeeID", "\xff\x00", "ff00"},
		{"employeeID", "a\nb", "610a62"},
	} {
		if got := ldap.PrintableID(tc.attr, []byte(tc.raw)); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.attr, got, tc.want)
		}
	}
}
