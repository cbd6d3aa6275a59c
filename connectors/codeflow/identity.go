package codeflow

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/oauth2"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/claims"
)

// identity converts claims to an identity and checks whether the user may sign in.
func (c *Connector) identity(ctx context.Context, said claims.Set, token *oauth2.Token) (connectors.Identity, error) {
	connectors.Report(ctx, said.Attributes())
	id, err := c.mapped(said)
	if err != nil {
		return connectors.Identity{}, err
	}
	if id.Data, err = json.Marshal(token); err != nil {
		return connectors.Identity{}, fmt.Errorf("encoding the provider's token: %w", err)
	}
	allowed := func(group string) bool { return slices.Contains(c.cfg.AllowedGroups, group) }
	if len(c.cfg.AllowedGroups) > 0 && !slices.ContainsFunc(id.Groups, allowed) {
		return connectors.Identity{}, connectors.NewError(connectors.OutcomeDenied, nil, "The user is in none of the allowed groups.", "Ask an admin to be added to one of them.")
	}
	if c.cfg.Admit == nil {
		return id, nil
	}
	return c.cfg.Admit(ctx, id, said)
}

// mapped returns the claims of the mapping.
func (c *Connector) mapped(said claims.Set) (connectors.Identity, error) {
	m := c.cfg.Claims
	id := connectors.Identity{Subject: said.Text(m.ID), Username: c.username(said), Name: said.Text(m.Name), Email: said.Text(m.Email), EmailVerified: c.emailVerified(said)}
	if id.Subject == "" {
		return id, unusable(fmt.Sprintf("The provider sent no claim %q, which identifies the user.", m.ID), "Choose another claim for the user ID in the connector's settings.")
	}
	if id.Username == "" {
		return id, unusable(fmt.Sprintf("The provider sent neither a user name in the claim %q nor a verified e-mail address. An unverified address is no user name.", m.Username),
			"Choose another claim for the user name in the connector's settings, or verify the address at the provider.")
	}
	if id.Name == "" {
		id.Name = id.Username
	}
	groups, err := said.Groups(m.Groups)
	switch {
	case errors.Is(err, claims.ErrOverage):
		return id, unusable("The user is in more groups than the provider puts into a token.",
			"Let the provider send only the groups assigned to the application, or use a connector that reads groups from the provider's directory.")
	case err != nil:
		return id, unusable("The provider sent groups in a form that can't be read: "+err.Error()+".", "Choose the claim with the groups in the connector's settings.")
	}
	id.Groups = groups
	return id, nil
}

func unusable(reason, remedy string) error {
	return connectors.NewError(connectors.OutcomeUnusableIdentity, nil, reason, remedy)
}

// username returns the user name: the claim, or a verified address. An unverified
// address could be that of another user, so it is refused even if the settings
// choose it, or if the claim holds it as well.
func (c *Connector) username(said claims.Set) string {
	m := c.cfg.Claims
	name, address := said.Text(m.Username), said.Text(m.Email)
	switch {
	case c.emailVerified(said):
		return cmp.Or(name, address)
	case name == "" || m.Username == m.Email:
		return ""
	}
	// A provider that never says which addresses are verified gives no reason for doubt.
	if _, says := said.Bool(m.EmailVerified); says && strings.EqualFold(name, address) {
		return ""
	}
	return name
}

// emailVerified reports whether the provider vouches for the address.
func (c *Connector) emailVerified(said claims.Set) bool {
	m := c.cfg.Claims
	if said.Text(m.Email) == "" {
		return false
	}
	verified, says := said.Bool(m.EmailVerified)
	return verified || m.TrustEmail || !says && m.ProviderVerifiesEmail
}
