package kubeaudit

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
)

// filling is a file on a disk that has room for some bytes.
type filling struct {
	bytes.Buffer
	room int
}

func (f *filling) Write(p []byte) (int, error) {
	if len(p) > f.room {
		n, _ := f.Buffer.Write(p[:f.room])
		f.room = 0
		return n, errors.New("no space left on device")
	}
	f.room -= len(p)
	return f.Buffer.Write(p)
}

func (f *filling) Close() error { return nil }

// TestALineThatWasTorn fills the disk in the middle of a line: what is written later is
// whole lines again.
func TestALineThatWasTorn(t *testing.T) {
	t.Parallel()
	disk := &filling{room: 200}
	f := &File{out: disk}
	for range 3 {
		_ = f.WriteEvent(&auditv1.Event{AuditID: "x"})
	}
	disk.room = 1 << 20
	if err := f.Ready(); err != nil {
		t.Fatal(err)
	}
	whole, torn := 0, 0
	for line := range bytes.Lines(disk.Bytes()) {
		if json.Valid(line) {
			whole++
		} else {
			torn++
		}
	}
	if whole != 3 || torn != 1 {
		t.Errorf("%d whole lines and %d in part:\n%s", whole, torn, disk.String())
	}
}
