package admin

import (
	"context"
	"slices"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/kubenames"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/policy/access"
	"github.com/fairlead-auth/fairlead/server/policy/accessmap"
)

// MapQuery selects a page of the access map. Empty fields select all.
type MapQuery struct {
	Text, Rule, Cluster, Environment string
	// Subject selects the rules that name it.
	Subject access.Subject
	// User is the id of a user, the name that clusters see, or a part of a name or address that
	// only one user has.
	User string
	// Page begins at 1.
	Page int
	// Uncounted leaves the numbers of users out, which need a look at every user.
	Uncounted bool
}

// MapPageSize is how many rules a page of the access map has.
const MapPageSize = 15

// AccessMap is a page of the access map.
type AccessMap struct {
	*accessmap.Map
	// Total is how many rules the query selects, All how many rules open clusters at all.
	Total, All  int
	Page, Pages int
	// SubjectCount and ClusterCount are how many subjects and clusters the rules of all pages have.
	SubjectCount, ClusterCount int
	// User is the user of the query, or nil.
	User *store.User
	// ClusterUsers is how many users may use the cluster of the query.
	ClusterUsers int
	// Environments are those of all clusters, in order.
	Environments []string
}

// AccessMap returns a page of the access map. Users are counted with the groups of
// their last sign-in.
func (a *Admin) AccessMap(ctx context.Context, c Caller, q MapQuery) (*AccessMap, error) {
	if err := a.authorize(ctx, c, ReadPeople, "read the access map"); err != nil {
		return nil, err
	}
	set, err := a.ruleset(ctx)
	if err != nil {
		return nil, err
	}
	out := &AccessMap{Environments: environments(set.Clusters)}
	filter := accessmap.Filter{Text: q.Text, Subject: q.Subject, Rule: q.Rule, Cluster: q.Cluster, Environment: q.Environment}
	if filter.Subject.Kind == access.SubjectUser {
		filter.Subject.Name = kubenames.Key(filter.Subject.Name)
	}
	if q.User != "" {
		if out.User, err = a.userByNameOrID(ctx, q.User); err != nil {
			return nil, err
		}
		filter.User = out.User
	}
	if q.Cluster != "" && !slices.ContainsFunc(set.Clusters, func(k store.Cluster) bool { return k.ID == q.Cluster }) {
		return nil, errs.New(errs.NotFound, "There is no cluster %s. Check the ID.", q.Cluster)
	}
	builder := accessmap.NewBuilder(set.Rules, set.Clusters)
	if !q.Uncounted {
		if err := a.Store.EachUser(ctx, builder.AddUser); err != nil {
			return nil, err
		}
	}
	whole := builder.Build(filter)
	out.All, out.Total, out.ClusterUsers = builder.Rules(), len(whole.Rules), builder.Cluster(q.Cluster)
	out.SubjectCount, out.ClusterCount = len(whole.Subjects), len(whole.Clusters)
	out.Pages = max(1, (out.Total+MapPageSize-1)/MapPageSize)
	out.Page = min(max(1, q.Page), out.Pages)
	out.Map = whole.Page((out.Page-1)*MapPageSize, MapPageSize)
	return out, nil
}

func (a *Admin) ruleset(ctx context.Context) (access.Ruleset, error) {
	rules, err := a.Store.Rules(ctx)
	if err != nil {
		return access.Ruleset{}, err
	}
	clusters, err := a.Store.Clusters(ctx)
	return access.Ruleset{Rules: rules, Clusters: clusters}, err
}

// userByNameOrID returns a user who has signed in: by id, by the name that clusters see, or by a
// part of a name or address that only one user has.
func (a *Admin) userByNameOrID(ctx context.Context, text string) (*store.User, error) {
	user, err := a.Store.User(ctx, text)
	if errs.Is(err, errs.NotFound) {
		user, err = a.Store.UserByName(ctx, text)
	}
	if !errs.Is(err, errs.NotFound) {
		return user, err
	}
	const named = 5
	matches, err := a.Store.MatchUsers(ctx, text, named+1)
	if err != nil {
		return nil, err
	}
	if len(matches) == 1 {
		return &matches[0], nil
	}
	if len(matches) == 0 {
		return nil, errs.New(errs.NotFound, "No user %s has signed in yet. Check the name, or filter by a group instead.", text)
	}
	var names []string
	for i := range matches {
		names = append(names, matches[i].KubeName)
	}
	return nil, errs.New(errs.NotFound, "Several users match %s: %s. Enter the whole user name of one of them.", text, some(names))
}

func environments(clusters []store.Cluster) []string {
	var list []string
	for i := range clusters {
		if clusters[i].Environment != "" {
			list = append(list, clusters[i].Environment)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}
