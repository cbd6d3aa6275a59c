package account

import (
	"testing"

	"github.com/fairlead-auth/fairlead/server/base/store"
)

func TestDeviceName(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{"": "kubectl", "jane-laptop": "kubectl on jane-laptop"} {
		if got := deviceName(store.Device{ClientID: "kubectl", Host: host}).String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
