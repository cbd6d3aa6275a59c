package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/fleet/recordings"
)

// FindRecordings lists recordings of shells, the newest first.
func (a *Admin) FindRecordings(ctx context.Context, c Caller, query store.RecordingQuery) ([]store.Recording, error) {
	if err := a.authorize(ctx, c, ReadAudit, "list recordings"); err != nil {
		return nil, err
	}
	return a.Store.FindRecordings(ctx, query)
}

// RecordingFile returns a recording in asciicast v2. The audit log records the download.
func (a *Admin) RecordingFile(ctx context.Context, c Caller, id string) (*store.Recording, io.Reader, error) {
	row, err := a.recording(ctx, c, id)
	if err != nil {
		return nil, nil, err
	}
	a.recordSeen(ctx, c, row, "file")
	return row, a.Recordings.Open(ctx, row), nil
}

// Replay is a recording with one frame of it.
type Replay struct {
	*store.Recording
	recordings.Playback
	// Faults are the defects found in the recording. Unreadable says why it, or the rest of it, cannot be played.
	Faults     []string
	Unreadable string
	// Key is the proxy's public key as a JSON Web Key.
	Key string
}

// RecordingFrames returns the frames of a recording from a time on. The audit log records each call, because a
// client can call it without opening the page.
func (a *Admin) RecordingFrames(ctx context.Context, c Caller, id string, from time.Duration, count int) (recordings.Playback, error) {
	row, err := a.recording(ctx, c, id)
	if err != nil {
		return recordings.Playback{}, err
	}
	a.recordSeen(ctx, c, row, "screen")
	playback, err := recordings.Play(ctx, a.Recordings.Open(ctx, row), from, count)
	if errors.Is(err, recordings.ErrTooMuchWork) {
		err = nil // the page says so
	}
	return playback, err
}

// PlayRecording returns the frame of a recording at a time, and the result of its verification. The audit log
// records the call.
func (a *Admin) PlayRecording(ctx context.Context, c Caller, id string, at time.Duration) (*Replay, error) {
	row, err := a.recording(ctx, c, id)
	if err != nil {
		return nil, err
	}
	a.recordSeen(ctx, c, row, "screen")
	replay := &Replay{Recording: row}
	if replay.Playback, err = recordings.Play(ctx, a.Recordings.Open(ctx, row), at, 0); errs.KindOf(err) == errs.Unavailable {
		return nil, err
	}
	if err != nil {
		replay.Unreadable = strings.TrimSuffix(err.Error(), ".")
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

// SearchRecording returns markers for the times at which words appear on the screen of a recording. The audit log
// records the call.
func (a *Admin) SearchRecording(ctx context.Context, c Caller, id, words string) ([]recordings.Marker, error) {
	row, err := a.recording(ctx, c, id)
	if err != nil {
		return nil, err
	}
	a.recordSeen(ctx, c, row, "search")
	found, err := recordings.Search(ctx, a.Recordings.Open(ctx, row), words)
	if errs.KindOf(err) == errs.Unavailable {
		return nil, err
	}
	return found, nil // the page says why the rest can't be read
}

func (a *Admin) recording(ctx context.Context, c Caller, id string) (*store.Recording, error) {
	if err := a.authorize(ctx, c, ReadAudit, "look at recording "+id); err != nil {
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
