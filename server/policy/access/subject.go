package access

import (
	"slices"

	"github.com/fairlead-auth/fairlead/internal/kubenames"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// SubjectKind says by what a rule names users.
type SubjectKind string

// The kinds of subject.
const (
	SubjectEveryone SubjectKind = "everyone"
	SubjectUser     SubjectKind = "user"
	SubjectGroup    SubjectKind = "group"
	SubjectDomain   SubjectKind = "domain"
)

// Subject is one part of a rule that names users: everyone, a user, a group, or the domain of
// verified e-mail addresses.
type Subject struct {
	Kind SubjectKind
	// Name is the group, the domain, or the user name in lower case. It is empty for everyone.
	Name string
}

// Subjects returns the subjects of a rule in a fixed order, each once.
func Subjects(rule *store.AccessRule) []Subject {
	if rule.Everyone {
		return []Subject{{Kind: SubjectEveryone}}
	}
	var list []Subject
	add := func(kind SubjectKind, name string) {
		if s := (Subject{kind, name}); !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	for _, name := range rule.UserNames {
		add(SubjectUser, kubenames.Key(name))
	}
	for _, name := range rule.GroupNames {
		add(SubjectGroup, name)
	}
	for _, name := range rule.Domains {
		add(SubjectDomain, name)
	}
	return list
}

// SubjectsOf returns every subject that includes a user.
func SubjectsOf(user *store.User) []Subject {
	list := make([]Subject, 0, 3+len(user.GroupNames))
	list = append(list, Subject{Kind: SubjectEveryone}, Subject{SubjectUser, user.NameKey})
	for _, group := range user.GroupNames {
		list = append(list, Subject{SubjectGroup, group})
	}
	return append(list, Subject{SubjectDomain, VerifiedDomain(user)})
}

// Covering returns the subjects of a rule by which it covers a user. There are none exactly
// when the rule does not cover the user.
func Covering(rule *store.AccessRule, user *store.User) []Subject {
	if !matchesUser(rule, user) {
		return nil
	}
	named := Subjects(rule)
	return slices.DeleteFunc(SubjectsOf(user), func(s Subject) bool { return !slices.Contains(named, s) })
}

// Opens reports whether a rule lets the users that it covers use a cluster.
func Opens(rule *store.AccessRule, cluster *store.Cluster) bool {
	return !rule.Admin && matchesCluster(rule, cluster)
}
