package admin

import (
	"context"

	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// origin says who owns an entry. General settings that the file has are the file's.
func (a *Admin) origin(k settings.Kind, e settings.Entry) store.Origin {
	if k.Name != settings.General || a.Live == nil {
		return e.Origin
	}
	sessions, branding := a.Live.SetInFile()
	if e.ID == settings.Sessions && sessions || e.ID == settings.Branding && branding {
		return store.Origin{Origin: store.OriginFile, OriginRef: "the file’s own keys"}
	}
	return e.Origin
}

// Refresh takes over what is stored, also by other replicas.
func (a *Admin) Refresh(ctx context.Context) error {
	if a.Live == nil {
		return nil
	}
	rows, err := a.Store.Documents(ctx)
	if err == nil {
		a.Live.Set(settings.Live(rows))
	}
	return err
}
