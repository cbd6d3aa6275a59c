package ldap_test

import (
	"errors"
	"strconv"
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
	for name, tc := range map[string]struct {
		attrs  map[string]string
		denied bool
	}{
		"nothing said":             {nil, false},
		"normal account":           {map[string]string{"userAccountControl": "512"}, false},
		"disabled":                 {map[string]string{"userAccountControl": "514"}, true},
		"locked out":               {map[string]string{"msDS-User-Account-Control-Computed": "16"}, true},
		"not locked out":           {map[string]string{"msDS-User-Account-Control-Computed": "0"}, false},
		"never expires":            {map[string]string{"accountExpires": "9223372036854775807"}, false},
		"never expires, zero":      {map[string]string{"accountExpires": "0"}, false},
		"expires now":              {map[string]string{"accountExpires": fileTime(now)}, true},
		"expires in a second":      {map[string]string{"accountExpires": fileTime(now.Add(time.Second))}, false},
		"nsAccountLock":            {map[string]string{"nsAccountLock": "true"}, true},
		"nsAccountLock off":        {map[string]string{"nsAccountLock": "false"}, false},
		"loginDisabled":            {map[string]string{"loginDisabled": "TRUE"}, true},
		"locked for ever":          {map[string]string{"pwdAccountLockedTime": "000001010000Z"}, true},
		"locked":                   {map[string]string{"pwdAccountLockedTime": "20261122115900Z"}, true},
		"policy ended":             {map[string]string{"pwdEndTime": "20261122120000Z"}, true},
		"principal expired":        {map[string]string{"krbPrincipalExpiration": "20261122115959Z"}, true},
		"principal good":           {map[string]string{"krbPrincipalExpiration": "20271122115959Z"}, false},
		"shadow expired yesterday": {map[string]string{"shadowExpire": day(now.Add(-24 * time.Hour))}, true},
		"shadow expires tomorrow":  {map[string]string{"shadowExpire": day(now.Add(24 * time.Hour))}, false},
		"shadow never":             {map[string]string{"shadowExpire": "-1"}, false},
		"rubbish":                  {map[string]string{"shadowExpire": "x", "accountExpires": "y", "userAccountControl": "z"}, false},
	} {
		values := map[string][]string{}
		for attr, value := range tc.attrs {
			values[attr] = []string{value}
		}
		err := ldap.CheckAccount(goldap.NewEntry("uid=jane", values), now)
		if errors.Is(err, connectors.ErrDenied) != tc.denied || (err != nil) != tc.denied {
			t.Errorf("%s: %v, denied %v", name, err, tc.denied)
		}
	}
}
