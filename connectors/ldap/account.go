package ldap

import (
	"fmt"
	"strconv"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/fairlead-auth/fairlead/connectors"
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
)

func accountAttrs() []string {
	return []string{attrControl, attrComputed, attrExpires, attrLock, attrLoginOff, attrPolicyLock, attrPolicyEnd, attrPrincipal, attrShadow}
}

// checkAccount refuses an account that the directory has disabled, locked or let
// expire. A bind is not enough: a renewal has no password to bind with, and not
// every directory checks these attributes at a bind.
func checkAccount(entry *goldap.Entry, now time.Time) error {
	value := entry.GetAttributeValue
	var why string
	switch {
	case flag(value(attrControl), controlDisabled), value(attrLock) == "true", value(attrLock) == "TRUE", value(attrLoginOff) == "TRUE":
		why = "disabled"
	case flag(value(attrComputed), controlLocked), value(attrPolicyLock) != "":
		why = "locked"
	case passed(fileTime(value(attrExpires)), now), passed(generalized(value(attrPolicyEnd)), now),
		passed(generalized(value(attrPrincipal)), now), passed(days(value(attrShadow)), now):
		why = "expired"
	default:
		return nil
	}
	return fmt.Errorf("the account %s is %s in the directory: %w", entry.DN, why, connectors.ErrDenied)
}

func flag(text string, bit int64) bool {
	n, err := strconv.ParseInt(text, 10, 64)
	return err == nil && n&bit != 0
}

// passed treats the zero time as never.
func passed(t, now time.Time) bool { return !t.IsZero() && !now.Before(t) }

// fileTime reads a time in 100 ns since 1601; 0 and the largest value mean never.
func fileTime(text string) time.Time {
	const never, perSecond, to1970 = 0x7fffffffffffffff, 10_000_000, 11_644_473_600
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 || n == never {
		return time.Time{}
	}
	return time.Unix(n/perSecond-to1970, 0)
}

// generalized reads a GeneralizedTime (RFC 4517 section 3.3.13) in UTC.
func generalized(text string) time.Time {
	t, err := time.Parse("20060102150405Z", text)
	if err != nil {
		return time.Time{}
	}
	return t
}

// days reads a number of days since 1970; less than one means never.
func days(text string) time.Time {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 1 {
		return time.Time{}
	}
	return time.Unix(n*int64((24*time.Hour).Seconds()), 0)
}
