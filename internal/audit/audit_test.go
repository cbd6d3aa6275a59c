package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/logging"
)

type failing struct{}

func (failing) WriteEvent(context.Context, audit.Event) error { return errors.New("disk full") }

func TestRecordReachesEverySink(t *testing.T) {
	t.Parallel()
	var stream, complaints bytes.Buffer
	now := func() time.Time { return time.Date(2026, 11, 22, 9, 0, 0, 0, time.FixedZone("x", 3600)) }
	log := audit.NewLog(now, slog.New(slog.NewJSONHandler(&complaints, nil)),
		failing{}, audit.NewStream(slog.New(slog.NewJSONHandler(&stream, nil))))
	ctx := logging.WithRequestID(t.Context(), "req-1")
	log.Record(ctx, audit.Event{Name: audit.TokenRefused, UserID: "usr_1", Reason: "no_access_rule"})

	var got map[string]any
	if err := json.Unmarshal(stream.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	delete(got, "time")
	want := map[string]any{
		"level": "INFO", "msg": "audit", "audit": true, "event": "token.refused",
		"request_id": "req-1", "user_id": "usr_1", "reason": "no_access_rule",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("line (-want +got):\n%s", diff)
	}
	if !bytes.Contains(complaints.Bytes(), []byte("disk full")) {
		t.Error("a failing sink must be reported")
	}
}

func TestDocumentationListsEveryEvent(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/audit-events.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []audit.Name
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\|").FindAllSubmatch(text, -1) {
		documented = append(documented, audit.Name(m[1]))
	}
	if diff := cmp.Diff(audit.Names(), documented); diff != "" {
		t.Errorf("docs/audit-events.md (-code +docs):\n%s", diff)
	}
}

// memory keeps events.
type memory struct{ events []audit.Event }

func (m *memory) WriteEvent(_ context.Context, e audit.Event) error {
	m.events = append(m.events, e)
	return nil
}

// keeper is memory that takes room.
type keeper struct{ memory }

func (*keeper) Persistent() {}

func TestWhoGetsAnEvent(t *testing.T) {
	t.Parallel()
	stream, database := &memory{}, &keeper{}
	log := audit.NewLog(func() time.Time { return time.Unix(1, 0) }, slog.New(slog.DiscardHandler), stream, database)
	log.Record(t.Context(), audit.Event{Name: audit.SignInSucceeded})
	log.LogOnly(t.Context(), audit.Event{Name: audit.AuthorizationRefused})
	log.RecordStored(t.Context(), log.Complete(t.Context(), audit.Event{Name: audit.TokenIssued}), database)
	if len(stream.events) != 3 || len(database.events) != 1 || database.events[0].Name != audit.SignInSucceeded || stream.events[2].Time.IsZero() {
		t.Errorf("stream %+v, database %+v", stream.events, database.events)
	}
}
