package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/fairlead-auth/fairlead/internal/errs"
)

// Recording describes a recording of a shell that a proxy has uploaded. Its parts hold the screen output. The
// session data comes from the first line of the recording itself.
type Recording struct {
	ID        string
	ProxyID   string
	PublicKey string // as the proxy reported it, at that time
	ClusterID string
	UserID    string
	UserName  string
	ActedAs   string
	Namespace string
	Pod       string
	Title     string
	Command   string
	Address   string
	RequestID string
	Began     Instant
	Duration  time.Duration
	// Faults lists the defects found on upload, one a line.
	Faults string
	Parts  int
	// Bytes is the stored size after compression.
	Bytes    int64
	Complete bool
	Expires  Instant
}

// Label says which command ran in which pod.
func (r *Recording) Label() string {
	if r.Title == "" {
		return "Recording " + r.ID
	}
	return r.Title
}

// RecordingPart is one uploaded part of a recording.
type RecordingPart struct {
	RecordingID string
	Number      int
	Data        []byte
	Expires     Instant
}

// Recording returns a recording. The error's kind is NotFound when there is none.
func (s *Store) Recording(ctx context.Context, id string) (*Recording, error) {
	var row Recording
	if err := s.db.WithContext(ctx).Where("id = ?", id).Take(&row).Error; err != nil {
		return nil, fmt.Errorf("reading recording: %w", translate(err))
	}
	return &row, nil
}

// BeginRecording stores an empty recording. It replaces an incomplete one with the same id. The error's kind is
// Conflict when that recording is complete.
func (s *Store) BeginRecording(ctx context.Context, r Recording) error {
	err := s.tx(ctx, func(tx *gorm.DB) error {
		if err := tx.Exec("DELETE FROM recordings WHERE id = ? AND complete = ?", r.ID, false).Error; err != nil {
			return err
		}
		if err := tx.Create(&r).Error; err != nil {
			return err
		}
		return tx.Exec("DELETE FROM recording_parts WHERE recording_id = ?", r.ID).Error
	})
	if err != nil {
		return fmt.Errorf("beginning recording: %w", translate(err))
	}
	return nil
}

// AddRecordingPart stores the next part. The error's kind is Conflict when the number is not the next one.
func (s *Store) AddRecordingPart(ctx context.Context, p RecordingPart) error {
	err := s.tx(ctx, func(tx *gorm.DB) error {
		res := tx.Exec("UPDATE recordings SET parts = parts + 1, bytes = bytes + ? WHERE id = ? AND parts = ? AND complete = ?", len(p.Data), p.RecordingID, p.Number, false)
		if res.Error != nil {
			return res.Error
		}
		if res.RowsAffected == 0 {
			return errs.New(errs.Conflict, "This part of the recording is out of order. Start again with part 0.")
		}
		return tx.Create(&p).Error
	})
	if err != nil {
		return fmt.Errorf("storing part of recording: %w", translate(err))
	}
	return nil
}

// CompleteRecording stores the description of a recording. It accepts no further parts.
func (s *Store) CompleteRecording(ctx context.Context, r *Recording) error {
	r.Complete = true
	if err := s.db.WithContext(ctx).Where("id = ?", r.ID).Select("*").Omit("id", "parts", "bytes").Updates(r).Error; err != nil {
		return fmt.Errorf("completing recording: %w", translate(err))
	}
	return nil
}

// RecordingPart returns a part. The error's kind is NotFound when there is none.
func (s *Store) RecordingPart(ctx context.Context, id string, number int) ([]byte, error) {
	var row RecordingPart
	if err := s.db.WithContext(ctx).Where("recording_id = ? AND number = ?", id, number).Take(&row).Error; err != nil {
		return nil, fmt.Errorf("reading part of recording: %w", translate(err))
	}
	return row.Data, nil
}

// RecordingBytes returns the stored size of a cluster's recordings.
func (s *Store) RecordingBytes(ctx context.Context, clusterID string) (int64, error) {
	var total int64
	err := s.db.WithContext(ctx).Model(&Recording{}).Select("COALESCE(SUM(bytes), 0)").Where("cluster_id = ?", clusterID).Scan(&total).Error
	if err != nil {
		return 0, fmt.Errorf("summing recordings: %w", translate(err))
	}
	return total, nil
}

// RecordingQuery selects complete recordings. Empty fields select all.
type RecordingQuery struct {
	User, Cluster string
	// From and To bound the time; To is not included.
	From, To Instant
	// Text is searched in namespace, pod and command.
	Text string
	// After is the Cursor of the last recording of the previous page.
	After string
	Limit int
}

// Cursor encodes the position of a recording in the list.
func (r *Recording) Cursor() string { return fmt.Sprintf("%d_%s", r.Began, r.ID) }

// FindRecordings lists recordings, the newest first.
func (s *Store) FindRecordings(ctx context.Context, query RecordingQuery) ([]Recording, error) {
	q := s.db.WithContext(ctx).Where("complete = ?", true).Order("began DESC, id DESC").Limit(query.Limit)
	if query.Cluster != "" {
		q = q.Where("cluster_id = ?", query.Cluster)
	}
	if query.User != "" {
		like := likeWithin(query.User)
		q = q.Where(`(user_id = ? OR LOWER(user_name) LIKE ? ESCAPE '\' OR LOWER(acted_as) LIKE ? ESCAPE '\')`, query.User, like, like)
	}
	if query.Text != "" {
		like := likeWithin(query.Text)
		q = q.Where(`(LOWER(namespace) LIKE ? ESCAPE '\' OR LOWER(pod) LIKE ? ESCAPE '\' OR LOWER(command) LIKE ? ESCAPE '\')`, like, like, like)
	}
	if query.From != 0 {
		q = q.Where("began >= ?", query.From)
	}
	if query.To != 0 {
		q = q.Where("began < ?", query.To)
	}
	q, err := before(q, "began", query.After)
	if err != nil {
		return nil, err
	}
	var rows []Recording
	if err := q.Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("listing recordings: %w", translate(err))
	}
	return rows, nil
}
