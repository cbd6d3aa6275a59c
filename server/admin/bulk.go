package admin

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
)

// BulkAct is an action on several rows of a list.
type BulkAct string

// The bulk actions.
const (
	BulkDelete  BulkAct = "delete"
	BulkEnable  BulkAct = "enable"
	BulkDisable BulkAct = "disable"
	BulkSignOut BulkAct = "sign-out"
	BulkInvite  BulkAct = "invite"
	BulkRevoke  BulkAct = "revoke"
	BulkRemove  BulkAct = "remove"
)

// The lists with bulk actions that are not lists of configured entries.
const (
	BulkPeople  = "people"
	BulkTokens  = "tokens"
	BulkProxies = "proxies"
)

// maxBulk is the largest number of rows in one bulk action: those of a page.
const maxBulk = PageSize

// BulkActs returns the actions of a list. The list is a kind of entry, BulkPeople, BulkTokens or BulkProxies.
func BulkActs(list string) []BulkAct {
	switch list {
	case BulkPeople:
		return []BulkAct{BulkDisable, BulkEnable, BulkSignOut}
	case BulkTokens:
		return []BulkAct{BulkRevoke}
	case BulkProxies:
		return []BulkAct{BulkRemove}
	case settings.Connectors:
		return []BulkAct{BulkEnable, BulkDisable}
	case settings.LocalUsers:
		return []BulkAct{BulkInvite, BulkDelete}
	case settings.Clusters, settings.Rules, settings.Clients, settings.Workloads, settings.Issuers:
		return []BulkAct{BulkDelete}
	}
	return nil
}

// Bulk is an action on several rows of a list.
type Bulk struct {
	// List is a kind of entry, BulkPeople, BulkTokens or BulkProxies.
	List string
	Act  BulkAct
	IDs  []string
	// Reason is stored in the history or the audit log.
	Reason string
}

// BulkPreview describes the effect of a bulk action.
type BulkPreview struct {
	// Names are the rows that would change. Skipped are the others, with the reason.
	Names   []string
	Skipped []BulkSkip
	// Sentences describe the consequences.
	Sentences []string
}

// BulkSkip is a row that a bulk action does not change, and why.
type BulkSkip struct{ ID, Why string }

// BulkResult is the result of a bulk action.
type BulkResult struct {
	Done    int
	Skipped []BulkSkip
	// Links are invitation links by login. They are shown only once.
	Links []BulkLink
}

// BulkLink is the invitation link of a local user.
type BulkLink struct{ Login, Token string }

func (b Bulk) valid() error {
	switch {
	case !slices.Contains(BulkActs(b.List), b.Act):
		return errs.New(errs.Invalid, "This action is not available for the list. Choose another one.")
	case len(b.IDs) == 0:
		return errs.New(errs.Invalid, "No row is selected. Select at least one row, then choose the action again.")
	case len(b.IDs) > maxBulk:
		return errs.New(errs.Invalid, fmt.Sprintf("Too many rows are selected. Select at most %d.", maxBulk))
	}
	return nil
}

// ApplyBulk runs a bulk action row by row. A refused row is skipped, and the others still change.
func (a *Admin) ApplyBulk(ctx context.Context, c Caller, b Bulk) (*BulkResult, error) {
	if err := b.valid(); err != nil {
		return nil, err
	}
	if len(b.Reason) > maxReason {
		return nil, errs.New(errs.Invalid, fmt.Sprintf("The reason is too long. Enter at most %d characters.", maxReason))
	}
	result := &BulkResult{}
	for _, id := range b.IDs {
		link, err := a.bulkOne(ctx, c, b, id)
		if why := bulkRefusal(err); why != "" {
			result.Skipped = append(result.Skipped, BulkSkip{id, why})
			continue
		}
		if err != nil {
			return result, err
		}
		result.Done++
		if link != "" {
			result.Links = append(result.Links, BulkLink{id, link})
		}
	}
	return result, nil
}

// bulkOne runs the action on one row, with the same right as the single action.
func (a *Admin) bulkOne(ctx context.Context, c Caller, b Bulk, id string) (link string, err error) {
	switch {
	case b.List == BulkPeople && b.Act == BulkSignOut:
		return "", a.Revoke(ctx, c, id, "")
	case b.List == BulkPeople:
		return "", a.Disable(ctx, c, id, b.Act == BulkDisable, strings.TrimSpace(b.Reason))
	case b.List == BulkTokens:
		return "", a.RevokeAPIToken(ctx, c, id)
	case b.List == BulkProxies:
		return "", a.RemoveProxy(ctx, c, id)
	case b.Act == BulkInvite:
		return a.Invite(ctx, c, id)
	case b.List == settings.Connectors:
		_, err = a.Enable(ctx, c, id, b.Act == BulkEnable, b.Reason)
		return "", err
	}
	item, err := a.Entry(ctx, c, b.List, id)
	if err != nil {
		return "", err
	}
	_, err = a.Apply(ctx, c, Draft{Kind: b.List, ID: id, Version: item.Version, Reason: b.Reason})
	return "", err
}
