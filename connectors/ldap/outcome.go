package ldap

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/probe"
	"github.com/fairlead-auth/fairlead/internal/kubenames"
)

func misconfigured(cause error, reason, remedy string) error {
	return connectors.NewError(connectors.OutcomeMisconfigured, cause, reason, remedy)
}

// classify gives an error of the service account's connection its outcome. A
// directory that can't be reached or is busy is unavailable; one that refuses the
// service account or cuts its answers is misconfigured.
func classify(err error) error {
	if _, known := errors.AsType[*connectors.Error](err); err == nil || known {
		return err
	}
	if badCertificate(err) {
		return misconfigured(err, "The directory's certificate is not trusted here", "Set the CA certificate of the directory, and name its servers as their certificates do.")
	}
	if say, ok := explain(err).(*probe.FaultError); ok && !passing(err) { //nolint:errorlint // explain returns it bare
		return misconfigured(err, say.Cause, say.Remedy)
	}
	return err
}

// passing reports whether an error may be gone at the next try.
func passing(err error) bool {
	return goldap.IsErrorAnyOf(err, goldap.LDAPResultBusy, goldap.LDAPResultUnavailable, goldap.LDAPResultTimeLimitExceeded, goldap.LDAPResultOperationsError, goldap.ErrorNetwork)
}

// badCertificate also looks at the text: go-ldap keeps no more of a StartTLS that fails.
func badCertificate(err error) bool {
	_, unverified := errors.AsType[*tls.CertificateVerificationError](err)
	return unverified || strings.Contains(err.Error(), "x509: ")
}

// refusal is why a directory refuses an account whose password may be right.
type refusal struct {
	code           string
	outcome        connectors.Outcome
	reason, remedy string
}

var (
	refusedDisabled  = refusal{"account_disabled", connectors.OutcomeDenied, "The account is disabled in the directory.", "Ask an admin of the directory to enable it."}
	refusedExpired   = refusal{"account_expired", connectors.OutcomeDenied, "The account has expired in the directory.", "Ask an admin of the directory to extend it."}
	refusedLocked    = refusal{"account_locked", connectors.OutcomeSignInAgain, "The directory has locked the account after too many wrong passwords.", "Wait until the lock ends, or ask an admin of the directory to remove it."}
	refusedForGood   = refusal{"account_locked", connectors.OutcomeDenied, "An admin has locked the account in the directory.", "Ask an admin of the directory to unlock it."}
	refusedPassword  = refusal{"password_expired", connectors.OutcomeSignInAgain, "The password has expired.", "Change it where the directory lets you, for example on your computer."}
	refusedMustReset = refusal{"password_must_change", connectors.OutcomeSignInAgain, "The directory wants a new password before it lets you in.", "Change the password where the directory lets you, for example on your computer."}
	refusedHours     = refusal{"outside_logon_hours", connectors.OutcomeSignInAgain, "The directory does not allow this account to sign in at this time.", "Wait for your logon hours, or ask an admin of the directory to change them."}
	refusedComputer  = refusal{"computer_not_allowed", connectors.OutcomeSignInAgain, "The directory does not allow this account to sign in from Fairlead's server.", "Ask an admin of the directory to allow it (“Log On To” in Active Directory)."}
)

// error returns the refusal of an account.
func (r refusal) error(cause error) error {
	e := connectors.NewError(r.outcome, cause, r.reason, r.remedy)
	e.Code = r.code
	return e
}

// adRefusals are Active Directory's reasons in a refused bind: "… data 533, v3839".
// 525 (no such account) and 52e (wrong password) are wrong credentials.
var adRefusals = map[string]refusal{
	"530": refusedHours, "531": refusedComputer, "532": refusedPassword, "533": refusedDisabled,
	"701": refusedExpired, "773": refusedMustReset, "775": refusedLocked,
}

// bindError gives the error of a bind as the user its outcome.
func bindError(err error, controls []goldap.Control) error {
	if refused, ok := policyRefusal(controls); ok {
		return refused.error(err)
	}
	fault, ok := errors.AsType[*goldap.Error](err)
	if err == nil || !ok {
		return err
	}
	if found := adCode.FindStringSubmatch(fault.Err.Error()); found != nil {
		if refused, ok := adRefusals[found[1]]; ok {
			return refused.error(err)
		}
	}
	switch fault.ResultCode {
	case goldap.LDAPResultInvalidCredentials, goldap.LDAPResultInappropriateAuthentication, goldap.LDAPResultInvalidDNSyntax, goldap.LDAPResultNoSuchObject:
		return fmt.Errorf("%w: %w", connectors.ErrBadCredentials, err)
	case goldap.LDAPResultConstraintViolation: // 389 Directory Server: "Exceed password retry limit"
		return refusedLocked.error(err)
	case goldap.LDAPResultUnwillingToPerform:
		return unwilling(fault)
	}
	return fmt.Errorf("binding as the user: %w", classify(err))
}

// unwilling reads what 389 Directory Server and eDirectory say of an account that
// they don't let in. They say it in words only.
func unwilling(fault *goldap.Error) error {
	said := kubenames.SanitizeLine(fault.Err.Error(), 200)
	if strings.Contains(strings.ToLower(said), "inactivated") {
		return refusedDisabled.error(fault)
	}
	return connectors.NewError(connectors.OutcomeDenied, fault, "The directory refuses to sign this account in: "+said, "Ask an admin of the directory whether the account is disabled.")
}

// policyRefusal reads the password policy controls of a bind's answer: of OpenLDAP
// (draft-behera-ldap-password-policy) and of 389 Directory Server (draft-vchu-ldap-pwd-policy).
// A bind that succeeds may still demand a new password.
func policyRefusal(controls []goldap.Control) (refusal, bool) {
	for _, control := range controls {
		switch policy := control.(type) {
		case *goldap.ControlVChuPasswordMustChange:
			return refusedMustReset, true
		case *goldap.ControlBeheraPasswordPolicy:
			switch policy.Error {
			case goldap.BeheraPasswordExpired:
				return refusedPassword, true
			case goldap.BeheraAccountLocked:
				return refusedLocked, true
			case goldap.BeheraChangeAfterReset:
				return refusedMustReset, true
			}
		}
	}
	return refusal{}, false
}
