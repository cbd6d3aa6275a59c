package ldap

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	goldap "github.com/go-ldap/ldap/v3"
)

// The attributes with which directories disable an account. A directory that does
// not know an attribute leaves it out of the answer.
const (
	attrControl     = "userAccountControl"                 // Active Directory: disabled
	attrComputed    = "msDS-User-Account-Control-Computed" // Active Directory: locked out
	attrExpires     = "accountExpires"                     // Active Directory
	attrLock        = "nsAccountLock"                      // 389 Directory Server, FreeIPA
	attrLoginOff    = "loginDisabled"                      // eDirectory
	attrPolicyLock  = "pwdAccountLockedTime"               // OpenLDAP, password policy
	attrPolicyEnd   = "pwdEndTime"                         // OpenLDAP, password policy
	attrPrincipal   = "krbPrincipalExpiration"             // FreeIPA, MIT Kerberos
	attrShadow      = "shadowExpire"                       // RFC 2307
	controlDisabled = 0x2
	controlLocked   = 0x10
	// lockedForGood is what an admin writes into pwdAccountLockedTime: the lock never
	// ends by itself.
	lockedForGood = "000001010000Z"
)

func accountAttrs() []string {
	return []string{attrControl, attrComputed, attrExpires, attrLock, attrLoginOff, attrPolicyLock, attrPolicyEnd, attrPrincipal, attrShadow}
}

// checkAccount refuses an account that the directory has disabled, locked or let
// expire. A bind is not enough: a renewal has no password to bind with, and not
// every directory checks these attributes at a bind. A value that can't be read
// counts against the account.
func checkAccount(entry *goldap.Entry, now time.Time) error {
	value := entry.GetEqualFoldAttributeValue
	var refused refusal
	switch {
	case flag(value(attrControl), controlDisabled), isTrue(value(attrLock)), isTrue(value(attrLoginOff)):
		refused = refusedDisabled
	case value(attrPolicyLock) == lockedForGood:
		refused = refusedForGood
	case flag(value(attrComputed), controlLocked), value(attrPolicyLock) != "":
		refused = refusedLocked
	case passed(fileTime(value(attrExpires)), now), passed(generalizedTime(value(attrPolicyEnd)), now),
		passed(generalizedTime(value(attrPrincipal)), now), passed(days(value(attrShadow)), now):
		refused = refusedExpired
	default:
		return nil
	}
	return refused.error(fmt.Errorf("entry %s", entry.DN))
}

func isTrue(text string) bool { return strings.EqualFold(strings.TrimSpace(text), "true") }

// flag reports whether a bit is set, or the text is no number.
func flag(text string, bit int64) bool {
	n, err := strconv.ParseInt(text, 10, 64)
	return text != "" && (err != nil || n&bit != 0)
}

// never and longAgo are what a date reads as that is not set and that can't be read.
var never, longAgo = time.Time{}, time.Unix(0, 0)

// passed treats the zero time as never.
func passed(t, now time.Time) bool { return !t.IsZero() && !now.Before(t) }

// fileTime reads a time in 100 ns since 1601; 0 and the largest value mean never.
func fileTime(text string) time.Time {
	const noEnd, perSecond, to1970 = 0x7fffffffffffffff, 10_000_000, 11_644_473_600
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case text == "" || err == nil && (n == 0 || n == noEnd):
		return never
	case err != nil || n < 0:
		return longAgo
	}
	return time.Unix(n/perSecond-to1970, 0)
}

// days reads a number of days since 1970; less than one means never.
func days(text string) time.Time {
	n, err := strconv.ParseInt(text, 10, 32)
	switch {
	case text == "" || err == nil && n < 1:
		return never
	case err != nil:
		return longAgo
	}
	return time.Unix(n*int64((24*time.Hour).Seconds()), 0)
}

// generalizedForm is RFC 4517 section 3.3.13: the hour, then minutes and seconds if
// given, a fraction of the last of them, and the zone.
var generalizedForm = regexp.MustCompile(`^(\d{10})(\d{2})?(\d{2})?(?:[.,](\d+))?(Z|[+-]\d{2}(?:\d{2})?)$`)

// generalizedTime reads a GeneralizedTime. Fractions are cut off: an account expires
// a moment early rather than late.
func generalizedTime(text string) time.Time {
	if text == "" {
		return never
	}
	parts := generalizedForm.FindStringSubmatch(text)
	if parts == nil || parts[2] == "" && parts[3] != "" {
		return longAgo
	}
	minute, second, zone := or(parts[2], "00"), or(parts[3], "00"), parts[5]
	if second == "60" { // a leap second, which package time does not know
		second = "59"
	}
	switch len(zone) {
	case 1:
		zone = "+0000"
	case 3:
		zone += "00"
	}
	t, err := time.Parse("20060102150405-0700", parts[1]+minute+second+zone)
	if err != nil {
		return longAgo
	}
	return t
}

func or(text, fallback string) string {
	if text == "" {
		return fallback
	}
	return text
}
