package ports_test

import (
	"net"
	"testing"

	"github.com/fairlead-auth/fairlead/test/harness/ports"
)

func TestReservedPortsDifferAndCanBeListenedOn(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 200 {
		address, err := ports.Reserve()
		if err != nil {
			t.Fatal(err)
		}
		if seen[address] {
			t.Errorf("%s was given twice", address)
		}
		seen[address] = true
	}
	for address := range seen {
		ln, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		ln.Close()
	}
}
