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
		r.Doc.Add("localUsers", "nobody could sign in with them: add a connector of type local")
	}
	seen := map[string]bool{}
	for i, e := range r.in.LocalUsers {
		path := fmt.Sprintf("localUsers[%d]", i)
		if err := kubenames.Check(e.Login); err != nil {
			r.Doc.Add(path+".login", "%v", err)
		}
		if seen[kubenames.Key(e.Login)] {
			r.Doc.Add(path+".login", "%q is there twice", e.Login)
		}
		seen[kubenames.Key(e.Login)] = true
		hash := r.resolve(path+".passwordHash", e.PasswordHash.Reveal())
		if err := password.Valid(hash); err != nil && (hash != "" || r.Resolve != nil) {
			r.Doc.Add(path+".passwordHash", "%v; make one with: fairlead user hash", err)
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
