// Package recordings stores the recordings of shells that proxies upload, and renders what was on the screen.
// Package internal/recording defines the format and its signatures.
package recordings

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/kubenames"
	"github.com/fairlead-auth/fairlead/internal/proxyfeed"
	"github.com/fairlead-auth/fairlead/internal/recording"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// Archive stores recordings in the database.
type Archive struct {
	Store *store.Store
	Audit *audit.Log
	Now   func() time.Time
	// Retention is how long each recording is kept. MaxBytes limits the recordings of one cluster: beyond it uploads are
	// refused, so that new recordings cannot displace older ones.
	Retention time.Duration
	MaxBytes  int64
}

const (
	// maxParts is the largest number of parts of a recording.
	maxParts = 1000
	// maxText bounds the decompressed size of a recording, in bytes. This much can be checked while the proxy
	// waits, and it is more than a proxy records by default.
	maxText = 160 << 20
)

// AddPart stores a part of a recording. The last part completes the recording, which is then verified.
func (k *Archive) AddPart(ctx context.Context, proxy *store.Proxy, p proxyfeed.RecordingPart) error {
	err := k.addPart(ctx, proxy, p)
	if kind := errs.KindOf(err); err != nil && (kind == errs.Invalid || kind == errs.NotFound || kind == errs.Conflict) {
		k.Audit.LogOnly(ctx, audit.Event{Name: audit.RecordingRefused, ClusterID: proxy.ClusterID, Reason: string(kind), Detail: line(p.ID) + " from " + proxy.ID})
	}
	return err
}

func (k *Archive) addPart(ctx context.Context, proxy *store.Proxy, p proxyfeed.RecordingPart) error {
	if id, err := uuid.Parse(p.ID); err != nil || id.String() != p.ID {
		return errs.New(errs.Invalid, "The ID of the recording is not a UUID in lower case. Send one.")
	}
	if len(p.Data) == 0 || len(p.Data) > proxyfeed.MaxRecordingPart || p.Number < 0 || p.Number >= maxParts {
		return errs.New(errs.Invalid, "The part of the recording is not valid. Send at most %d parts of 1 to %d bytes.", maxParts, proxyfeed.MaxRecordingPart)
	}
	row, err := k.begun(ctx, proxy, p)
	if err != nil || row.Complete {
		return err // a complete recording never changes
	}
	if err := k.Store.AddRecordingPart(ctx, store.RecordingPart{RecordingID: p.ID, Number: p.Number, Data: p.Data, Expires: row.Expires}); err != nil {
		return err
	}
	if !p.Last {
		return nil
	}
	row.Parts = p.Number + 1
	return k.complete(ctx, row)
}

// begun returns the recording of a part. Part 0 starts it.
func (k *Archive) begun(ctx context.Context, proxy *store.Proxy, p proxyfeed.RecordingPart) (*store.Recording, error) {
	row, err := k.Store.Recording(ctx, p.ID)
	if err != nil && !errs.Is(err, errs.NotFound) {
		return nil, err
	}
	if err == nil && row.ProxyID != proxy.ID {
		k.Audit.Record(ctx, audit.Event{Name: audit.RecordingRefused, ClusterID: proxy.ClusterID, Reason: "another_proxys", Detail: p.ID + " of " + row.ProxyID + ", from " + proxy.ID})
		return nil, errs.New(errs.Denied, "The upload was refused: another proxy already sent a recording with this ID. Check that no two proxies share a state directory.")
	}
	if err == nil && row.Complete {
		return row, nil
	}
	stored, sumErr := k.Store.RecordingBytes(ctx, proxy.ClusterID)
	if sumErr != nil {
		return nil, sumErr
	}
	if stored+int64(len(p.Data)) > k.MaxBytes {
		k.Audit.LogOnly(ctx, audit.Event{Name: audit.RecordingRefused, ClusterID: proxy.ClusterID, Reason: "full", Detail: p.ID})
		return nil, errs.New(errs.Denied, "The upload was refused: the recordings of this cluster have reached recordings.maxMegabytes. This one stays at the proxy. Set a higher limit, or wait until old recordings expire.")
	}
	if p.Number > 0 {
		return row, err
	}
	now := k.Now()
	row = &store.Recording{ID: p.ID, ProxyID: proxy.ID, PublicKey: proxy.PublicKey, ClusterID: proxy.ClusterID, Began: store.At(now), Expires: store.At(now.Add(k.Retention))}
	return row, k.Store.BeginRecording(ctx, *row)
}

// complete reads an uploaded recording, and stores its description and defects. It also keeps an unreadable
// recording, as evidence that it was tampered with.
func (k *Archive) complete(ctx context.Context, row *store.Recording) error {
	report, err := k.Check(ctx, row)
	if err != nil {
		return err
	}
	h := report.Header
	if began := time.Unix(h.Timestamp, 0); h.Timestamp > 0 && began.Before(k.Now()) {
		row.Began = store.At(began)
	}
	who := h.Fairlead.SessionInfo
	row.UserID, row.UserName, row.ActedAs, row.Namespace, row.Pod = line(who.UserID), line(who.User), line(who.As), line(who.Namespace), line(who.Pod)
	row.Title, row.Command, row.Address, row.RequestID = line(h.Title), line(h.Command), line(who.Address), line(who.RequestID)
	row.Duration, row.Faults = report.Duration, strings.Join(report.Faults, "\n")
	if err := k.Store.CompleteRecording(ctx, row); err != nil {
		return err
	}
	k.Audit.Record(ctx, audit.Event{
		Name: audit.RecordingKept, ClusterID: row.ClusterID, UserID: row.UserID, UserName: row.UserName, RequestID: row.RequestID, Address: row.Address,
		Reason: verdict(report.Faults), Detail: row.ID + " " + row.Title,
	})
	return nil
}

// maxWords bounds the texts of a recording's description, in characters.
const maxWords = 500

func line(text string) string { return kubenames.SanitizeLine(text, maxWords) }

func verdict(faults []string) string {
	if len(faults) == 0 {
		return "intact"
	}
	return "altered"
}

// Check reports how a recording was changed since it was made. An error means that the stored recording could not
// be read.
func (k *Archive) Check(ctx context.Context, row *store.Recording) (recording.Report, error) {
	text := k.Open(ctx, row)
	report, err := recording.Verify(text, func(id string) (ed25519.PublicKey, error) { return publicKey(row, id) })
	if errs.KindOf(err) == errs.Unavailable {
		return report, err
	}
	if err != nil {
		report.Faults = append(report.Faults, "it can't be read: "+line(err.Error()))
	}
	if id := report.Header.Fairlead.ID; err == nil && id != row.ID {
		report.Faults = append(report.Faults, fmt.Sprintf("it is kept as %s but says that it is %q", row.ID, line(id)))
	}
	return report, nil
}

// Key returns the public key of the proxy that uploaded a recording, in the form that "recording verify" takes.
func Key(row *store.Recording) (key jose.JSONWebKey, err error) {
	if err := json.Unmarshal([]byte(row.PublicKey), &key); err != nil {
		return key, fmt.Errorf("reading the proxy's key: %w", err)
	}
	key.KeyID = row.ProxyID
	return key, nil
}

// publicKey returns the proxy's key with that id. Only that proxy may have signed the recording.
func publicKey(row *store.Recording, id string) (ed25519.PublicKey, error) {
	key, err := Key(row)
	if err != nil {
		return nil, err
	}
	public, ok := key.Key.(ed25519.PublicKey)
	if !ok || id != row.ProxyID {
		return nil, fmt.Errorf("it is signed by %q, not by the proxy %s that handed it in", id, row.ProxyID)
	}
	return public, nil
}

// errLong means that the recording exceeds maxText.
var errLong = errors.New("it is longer than is read here; check its file with \"fairlead-proxy recording verify\"")

// Open returns a recording in asciicast v2.
func (k *Archive) Open(ctx context.Context, row *store.Recording) io.Reader {
	return &text{parts: &parts{ctx: ctx, store: k.Store, row: row}, left: maxText}
}

// text decompresses a recording, up to maxText.
type text struct {
	parts *parts
	plain *gzip.Reader
	left  int64
}

func (t *text) Read(p []byte) (n int, err error) {
	if t.plain == nil {
		if t.plain, err = gzip.NewReader(bufio.NewReader(t.parts)); err != nil {
			return 0, fmt.Errorf("decompressing: %w", err)
		}
		t.plain.Multistream(false)
	}
	if n, err = t.plain.Read(p); int64(n) > t.left {
		return 0, errLong
	}
	t.left -= int64(n)
	return n, err
}

// parts reads the parts of a recording one after the other.
type parts struct {
	ctx   context.Context //nolint:containedctx // it lives as long as one read
	store *store.Store
	row   *store.Recording
	next  int
	rest  []byte
}

func (r *parts) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.next >= r.row.Parts {
			return 0, io.EOF
		}
		var err error
		if r.rest, err = r.store.RecordingPart(r.ctx, r.row.ID, r.next); err != nil {
			return 0, err
		}
		r.next++
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}
