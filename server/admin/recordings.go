package admin

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/fleet/recordings"
)

// FindRecordings lists recordings of shells, the newest first.
func (a *Admin) FindRecordings(ctx context.Context, c Caller, query store.RecordingQuery) ([]store.Recording, error) {
	if err := a.may(ctx, c, ReadAudit, "list recordings"); err != nil {
		return nil, err
	}
	return a.Store.FindRecordings(ctx, query)
}

// RecordingFile is what was recorded, in asciicast v2. That it was taken is recorded.
func (a *Admin) RecordingFile(ctx context.Context, c Caller, id string) (*store.Recording, io.Reader, error) {
	row, err := a.recording(ctx, c, id)
	if err != nil {
		return nil, nil, err
	}
	a.recordSeen(ctx, c, row, "file")
	return row, a.Recordings.Open(ctx, row), nil
}

// Replay is a recording and what can be seen of it.
type Replay struct {
	*store.Recording
	recordings.Film
	// Faults are what is wrong with it now, Unreadable why nothing can be seen.
	Faults     []string
	Unreadable string
	// Key is the proxy's public key, a JSON Web Key.
	Key string
}

// Screens are what a recording shows at a moment, and up to so many later. That somebody
// looked is recorded each time: whoever knows addresses needs no page before.
func (a *Admin) Screens(ctx context.Context, c Caller, id string, from time.Duration, count int) (recordings.Film, error) {
	row, err := a.recording(ctx, c, id)
	if err != nil {
		return recordings.Film{}, err
	}
	a.recordSeen(ctx, c, row, "screen")
	return recordings.Play(a.Recordings.Open(ctx, row), from, count)
}

// Replay shows a recording at a moment, and what it is worth. That somebody looked is recorded.
func (a *Admin) Replay(ctx context.Context, c Caller, id string, at time.Duration) (*Replay, error) {
	row, err := a.recording(ctx, c, id)
	if err != nil {
		return nil, err
	}
	a.recordSeen(ctx, c, row, "screen")
	replay := &Replay{Recording: row}
	if replay.Film, err = recordings.Play(a.Recordings.Open(ctx, row), at, 0); errs.KindOf(err) == errs.Unavailable {
		return nil, err
	}
	if err != nil {
		replay.Unreadable = err.Error()
	}
	report, err := a.Recordings.Check(ctx, row)
	if err != nil {
		return nil, err
	}
	replay.Faults = report.Faults
	key, err := recordings.Key(row)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(key)
	replay.Key = string(text)
	return replay, err
}

// SearchRecording returns the moments at which words appear on the screen of a recording. The
// audit log says that the caller looked.
func (a *Admin) SearchRecording(ctx context.Context, c Caller, id, words string) ([]recordings.Moment, error) {
	row, err := a.recording(ctx, c, id)
	if err != nil {
		return nil, err
	}
	a.recordSeen(ctx, c, row, "search")
	found, err := recordings.Search(a.Recordings.Open(ctx, row), words)
	if errs.KindOf(err) == errs.Unavailable {
		return nil, err
	}
	return found, nil // the page says why the rest can't be read
}

func (a *Admin) recording(ctx context.Context, c Caller, id string) (*store.Recording, error) {
	if err := a.may(ctx, c, ReadAudit, "look at recording "+id); err != nil {
		return nil, err
	}
	row, err := a.Store.Recording(ctx, id)
	if err != nil || !row.Complete {
		return nil, errs.Wrap(errs.NotFound, err, "There is no such recording: it has expired, or it is not complete yet. Choose another from the list.")
	}
	return row, nil
}

func (a *Admin) recordSeen(ctx context.Context, c Caller, row *store.Recording, what string) {
	event := c.event(audit.RecordingSeen)
	event.ClusterID, event.Reason, event.Detail = row.ClusterID, what, row.ID+" of "+row.UserName
	a.Audit.Record(ctx, event)
}
