package kubeaudit

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
)

// limitedDisk is a file on a disk with room for a number of bytes.
type limitedDisk struct {
	bytes.Buffer
	room int
}

func (f *limitedDisk) Write(p []byte) (int, error) {
	if len(p) > f.room {
		n, _ := f.Buffer.Write(p[:f.room])
		f.room = 0
		return n, errors.New("no space left on device")
	}
	f.room -= len(p)
	return f.Buffer.Write(p)
}

func (f *limitedDisk) Close() error { return nil }

// TestPartialLine fills the disk in the middle of a line, and checks that later lines are complete.
func TestPartialLine(t *testing.T) {
	t.Parallel()
	disk := &limitedDisk{room: 200}
	f := &File{out: disk}
	for range 3 {
		_ = f.WriteEvent(&auditv1.Event{AuditID: "x"})
	}
	disk.room = 1 << 20
	if err := f.Ready(); err != nil {
		t.Fatal(err)
	}
	complete, partial := 0, 0
	for line := range bytes.Lines(disk.Bytes()) {
		if json.Valid(line) {
			complete++
		} else {
			partial++
		}
	}
	if complete != 3 || partial != 1 {
		t.Errorf("%d complete lines and %d partial:\n%s", complete, partial, disk.String())
	}
}
