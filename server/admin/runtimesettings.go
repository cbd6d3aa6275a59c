package admin

import (
	"context"

	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// origin returns the owner of an entry. General settings in the configuration file belong to the file.
func (a *Admin) origin(k settings.Kind, e settings.Entry) store.Origin {
	if k.Name != settings.General || a.RuntimeSettings == nil {
		return e.Origin
	}
	sessions, branding := a.RuntimeSettings.SetInFile()
	if e.ID == settings.Sessions && sessions || e.ID == settings.Branding && branding {
		return store.Origin{Origin: store.OriginFile, OriginRef: "the file’s own keys"}
	}
	return e.Origin
}

// Refresh loads the stored settings, so that changes of other replicas apply.
func (a *Admin) Refresh(ctx context.Context) error {
	if a.RuntimeSettings == nil {
		return nil
	}
	rows, err := a.Store.Documents(ctx)
	if err == nil {
		a.RuntimeSettings.Set(settings.RuntimeValues(rows))
	}
	return err
}
