package settings

import (
	"fmt"
	"slices"

	"github.com/fairlead-auth/fairlead/internal/kubenames"
	"github.com/fairlead-auth/fairlead/internal/password"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

func (r *Reader) localUserRows() []store.LocalUser {
	var rows []store.LocalUser
	hasLocal := slices.ContainsFunc(r.in.Connectors, func(e Connector) bool { return e.Type == "local" })
	if len(r.in.LocalUsers) > 0 && !hasLocal {
		r.Doc.Add("localUsers", "need a connector of type local. Add one, so that these users can sign in")
	}
	seen := map[string]bool{}
	for i, e := range r.in.LocalUsers {
		path := fmt.Sprintf("localUsers[%d]", i)
		if err := kubenames.Check(e.Login); err != nil {
			r.Doc.Add(path+".login", "%v", err)
		}
		if seen[kubenames.Key(e.Login)] {
			r.Doc.Add(path+".login", "must be unique: another local user has the user name %q", e.Login)
		}
		seen[kubenames.Key(e.Login)] = true
		hash := r.resolve(path+".passwordHash", e.PasswordHash.Reveal())
		if err := password.Valid(hash); err != nil && (hash != "" || r.Resolve != nil) {
			r.Doc.Add(path+".passwordHash", "%v. Create a hash with: fairlead local-user hash", err)
		}
		for j, group := range e.Groups {
			if err := kubenames.Check(group); err != nil {
				r.Doc.Add(fmt.Sprintf("%s.groups[%d]", path, j), "%v", err)
			}
		}
		rows = append(rows, store.LocalUser{
			Login: e.Login, DisplayName: e.Name, Email: e.Email, GroupNames: e.Groups,
			FileHash: hash, Origin: r.Origin(path),
		})
	}
	return rows
}
